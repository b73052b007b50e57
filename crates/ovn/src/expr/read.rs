//! Expressions that users write.
//!
//! Neither the databases nor ovn-northd read a match: only ovn-controller does, on every node, and one
//! that it cannot read it passes over with a line in its log. So nothing in a database tells it, and
//! what can be known is looked at here: the form of the expression, and whether there are such
//! fields. Not looked at is what depends on the kind of a field: how wide an operand may be, whether
//! it may be negated or compared by size; nor which sets of addresses there are.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::vec::IntoIter;

use model::{Cidr, MacAddr};

use super::fields;

/// OVN takes no more.
const DEEPEST: usize = 100;
/// The fields of packets' destinations.
const DESTINATIONS: [&str; 2] = ["ip4.dst", "ip6.dst"];
const RESIDENT: &str = "is_chassis_resident";

/// What an expression says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// The names in it that are no fields of the newest OVN that we know.
    pub unknown: BTreeSet<String>,
    /// The networks that it names as destinations.
    pub destinations: BTreeSet<Cidr>,
    /// Whether it says of destinations anything else, as that they are not in a network.
    pub has_other_destinations: bool,
}

/// Why OVN cannot read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A field, a predicate or a function.
    Name(String),
    Number(String),
    Text,
    /// `$name` or `@name`.
    Set,
    Sign(&'static str),
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    depth: usize,
    is_negated: bool,
    reading: Reading,
}

/// What is compared with a field.
#[derive(Debug, Default)]
struct Operand {
    numbers: Vec<String>,
    has_others: bool,
}

/// Reads an expression.
///
/// # Errors
/// OVN could not.
pub fn read(text: &str) -> Result<Reading, Unreadable> {
    let mut parser = Parser {
        tokens: tokens(text)?.into_iter().peekable(),
        depth: 0,
        is_negated: false,
        reading: Reading::default(),
    };
    parser.terms()?;
    match parser.tokens.next() {
        None => Ok(parser.reading),
        Some(token) => Err(unexpected(Some(&token))),
    }
}

// === impl Parser ===

impl Parser {
    /// `a`, `a && b && c` or `a || b || c`.
    fn terms(&mut self) -> Result<(), Unreadable> {
        self.term()?;
        let mut first = None;
        while let Some(sign) = self.one_of(["&&", "||"]) {
            if *first.get_or_insert(sign) != sign {
                return Err(unreadable(
                    "`&&` and `||` stand side by side; put one of the two in parentheses",
                ));
            }
            self.term()?;
        }
        Ok(())
    }

    fn term(&mut self) -> Result<(), Unreadable> {
        if self.one_of(["!"]).is_some() {
            self.is_negated = true;
        }
        if self.one_of(["("]).is_some() {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(unreadable("there are too many parentheses in one another"));
            }
            self.terms()?;
            self.depth -= 1;
            return self.expect(")");
        }
        match self.tokens.next_if(|it| matches!(it, Token::Name(_))) {
            Some(Token::Name(name)) if name == RESIDENT => self.resident(),
            Some(Token::Name(name)) => self.comparison(&name),
            Some(_) | None => self.turned_comparison(),
        }
    }

    fn resident(&mut self) -> Result<(), Unreadable> {
        self.expect("(")?;
        match self.tokens.next() {
            Some(Token::Text) => self.expect(")"),
            token => Err(unexpected(token.as_ref())),
        }
    }

    /// `field`, or `field == operand`.
    fn comparison(&mut self, name: &str) -> Result<(), Unreadable> {
        self.field(name)?;
        let Some(sign) = self.relation() else {
            return Ok(());
        };
        let operand = self.operand()?;
        self.note(name, sign, operand);
        Ok(())
    }

    /// `operand == field`, `operand < field < operand`, or `0` or `1` alone.
    fn turned_comparison(&mut self) -> Result<(), Unreadable> {
        let operand = self.operand()?;
        let Some(sign) = self.relation() else {
            let is_truth =
                matches!(operand.numbers.as_slice(), [one] if ["0", "1"].contains(&one.as_str()));
            return if is_truth && !operand.has_others {
                Ok(())
            } else {
                Err(unexpected(self.tokens.peek()))
            };
        };
        let name = match self.tokens.next() {
            Some(Token::Name(name)) => name,
            token => return Err(unexpected(token.as_ref())),
        };
        self.field(&name)?;
        self.note(&name, sign, operand);
        if let Some(sign) = self.relation() {
            let operand = self.operand()?;
            self.note(&name, sign, operand);
        }
        Ok(())
    }

    /// The rest of a field: a bit of it, or several.
    fn field(&mut self, name: &str) -> Result<(), Unreadable> {
        if !fields::is_known(name) {
            self.reading.unknown.insert(name.to_owned());
        }
        if self.one_of(["["]).is_none() {
            return Ok(());
        }
        self.number()?;
        if self.one_of([".."]).is_some() {
            self.number()?;
        }
        self.expect("]")
    }

    fn operand(&mut self) -> Result<Operand, Unreadable> {
        let mut operand = Operand::default();
        if self.one_of(["{"]).is_none() {
            self.constant(&mut operand)?;
            return Ok(operand);
        }
        loop {
            self.constant(&mut operand)?;
            let has_comma = self.one_of([","]).is_some();
            if self.one_of(["}"]).is_some() {
                return Ok(operand);
            }
            if self.tokens.peek().is_none() && !has_comma {
                return Err(unreadable("a `{` has no `}`"));
            }
        }
    }

    fn constant(&mut self, operand: &mut Operand) -> Result<(), Unreadable> {
        match self.tokens.next() {
            Some(Token::Number(number)) => operand.numbers.push(number),
            Some(Token::Text | Token::Set) => operand.has_others = true,
            token => return Err(unexpected(token.as_ref())),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Unreadable> {
        match self.tokens.next() {
            Some(Token::Number(_)) => Ok(()),
            token => Err(unexpected(token.as_ref())),
        }
    }

    fn note(&mut self, field: &str, sign: &str, operand: Operand) {
        if !DESTINATIONS.contains(&field) {
            return;
        }
        for number in operand.numbers {
            match network(&number) {
                Some(network) if sign == "==" => {
                    self.reading.destinations.insert(network);
                }
                Some(_) | None => self.reading.has_other_destinations = true,
            }
        }
        self.reading.has_other_destinations |= operand.has_others || self.is_negated;
    }

    fn relation(&mut self) -> Option<&'static str> {
        self.one_of(["==", "!=", "<", "<=", ">", ">="])
    }

    fn one_of<const N: usize>(&mut self, signs: [&'static str; N]) -> Option<&'static str> {
        let sign = |it: &Token| signs.into_iter().find(|sign| *it == Token::Sign(sign));
        let found = self.tokens.peek().and_then(sign)?;
        self.tokens.next();
        Some(found)
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), Unreadable> {
        match self.tokens.next() {
            Some(Token::Sign(found)) if found == sign => Ok(()),
            None => Err(Unreadable(format!("a `{sign}` is missing at the end"))),
            token => Err(unexpected(token.as_ref())),
        }
    }
}

fn network(number: &str) -> Option<Cidr> {
    let address = || number.parse::<IpAddr>().ok().map(|it| Cidr::new(it.into()));
    address().or_else(|| number.parse().ok())
}

fn unreadable(cause: &str) -> Unreadable {
    Unreadable(cause.to_owned())
}

fn unexpected(token: Option<&Token>) -> Unreadable {
    let found = match token {
        None => return unreadable("it ends too early"),
        Some(Token::Name(text) | Token::Number(text)) => text.as_str(),
        Some(Token::Text) => "\"...\"",
        Some(Token::Set) => "$...",
        Some(Token::Sign(sign)) => sign,
    };
    Unreadable(format!("`{found}` cannot stand where it does"))
}

// === Tokens ===

/// The longer ones first.
const SIGNS: [&str; 18] = [
    "&&", "||", "==", "!=", "<=", ">=", "..", "<", ">", "!", "(", ")", "[", "]", "{", "}", ",", "=",
];

fn tokens(text: &str) -> Result<Vec<Token>, Unreadable> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = token(first, rest)?;
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn token(first: char, rest: &str) -> Result<(Token, &str), Unreadable> {
    if let Some(after) = rest.strip_prefix('"') {
        return Ok((Token::Text, after_quote(after)?));
    }
    if let Some(after) = rest.strip_prefix(['$', '@']) {
        let (name, after) = split(after, is_part_of_name);
        return if name.is_empty() {
            Err(Unreadable(format!("`{first}` has no name behind it")))
        } else {
            Ok((Token::Set, after))
        };
    }
    if is_number(rest) {
        return number(rest);
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let (name, after) = split(rest, is_part_of_name);
        return Ok((Token::Name(name.to_owned()), after));
    }
    let mut signs = SIGNS.into_iter();
    let sign = signs.find_map(|sign| Some((Token::Sign(sign), rest.strip_prefix(sign)?)));
    sign.ok_or_else(|| Unreadable(format!("`{first}` means nothing in an expression")))
}

fn is_part_of_name(it: char) -> bool {
    it.is_ascii_alphanumeric() || it == '_' || it == '.'
}

/// Whether a number begins here: a digit, or the first part of a MAC or an IPv6 address.
fn is_number(rest: &str) -> bool {
    let (digits, after) = split(rest, |it| it.is_ascii_hexdigit());
    rest.starts_with(|it: char| it.is_ascii_digit())
        || rest.starts_with("::")
        || !digits.is_empty() && after.starts_with(':')
}

/// A number, or one with a mask. `..` ends it.
fn number(rest: &str) -> Result<(Token, &str), Unreadable> {
    let end = rest.find("..").unwrap_or(rest.len());
    let (within, _) = rest.split_at(end);
    let is_part = |it: char| it.is_ascii_alphanumeric() || [':', '.', '/'].contains(&it);
    let (number, _) = split(within, is_part);
    let (_, after) = rest.split_at(number.len());
    why_no_number(number).map_or_else(
        || Ok((Token::Number(number.to_owned()), after)),
        |why| Err(Unreadable(format!("`{number}` {why}"))),
    )
}

fn why_no_number(number: &str) -> Option<&'static str> {
    let is_one = |it: &str| {
        let is_hexadecimal = it.strip_prefix("0x").or_else(|| it.strip_prefix("0X"));
        let hexadecimal = is_hexadecimal.map(|it| u128::from_str_radix(it, 16).is_ok());
        hexadecimal.unwrap_or_else(|| {
            is::<u128>(it) || is::<Ipv4Addr>(it) || is::<Ipv6Addr>(it) || is::<MacAddr>(it)
        })
    };
    let Some((value, mask)) = number.split_once('/') else {
        return (!is_one(number)).then_some("is neither a number nor an address");
    };
    if !is_one(value) || !is_one(mask) {
        return Some("is neither a number nor a network");
    }
    let is_prefix = is::<IpAddr>(value) && is::<u8>(mask);
    (is_prefix && !is::<Cidr>(number)).then_some("is no network")
}

fn is<T: FromStr>(text: &str) -> bool {
    text.parse::<T>().is_ok()
}

/// What follows the end of a text in quotes.
fn after_quote(text: &str) -> Result<&str, Unreadable> {
    let mut is_escaped = false;
    let end = text.char_indices().find(|(_, character)| {
        let is_end = *character == '"' && !is_escaped;
        is_escaped = *character == '\\' && !is_escaped;
        is_end
    });
    let after = end.and_then(|(place, _)| text.split_at(place).1.strip_prefix('"'));
    after.ok_or_else(|| unreadable("a quote has no end"))
}

fn split(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|it| !is_part(it)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests;
