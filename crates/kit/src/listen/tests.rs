use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.sock");
    (folder, path)
}

#[test]
fn both_forms_print_as_they_parse() {
    for text in [
        "unix:/run/openvswitch/kube-ovn-daemon.sock",
        "127.0.0.1:10672",
        "[::]:8080",
    ] {
        assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
    }
}

#[test]
fn other_texts_are_refused_with_both_forms_named() {
    for text in [
        "",
        "unix:",
        "unix:relative.sock",
        "localhost",
        "10.0.0.1",
        "/run/x.sock",
    ] {
        let error = text.parse::<Listen>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{text}` is neither `unix:/path` nor `address:port`")
        );
    }
}

#[tokio::test]
async fn only_the_owner_can_open_the_socket() {
    let (_folder, path) = folder();
    let _bound = unix(&path).await.unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    UnixStream::connect(&path).await.unwrap();
}

#[tokio::test]
async fn a_socket_left_by_a_killed_process_is_replaced() {
    let (_folder, path) = folder();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the standard library leaves the file");
    let _bound = unix(&path).await.unwrap();
    UnixStream::connect(&path).await.unwrap();
}

#[tokio::test]
async fn a_socket_that_is_served_is_not_taken_over() {
    let (_folder, path) = folder();
    let _bound = unix(&path).await.unwrap();
    assert!(matches!(
        unix(&path).await.unwrap_err(),
        ListenError::InUse { .. }
    ));
    UnixStream::connect(&path).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_not_removed() {
    let (_folder, path) = folder();
    fs::write(&path, "precious").unwrap();
    assert!(matches!(
        unix(&path).await.unwrap_err(),
        ListenError::NotASocket { .. }
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_missing_folder_is_named_with_the_remedy() {
    let (folder, _path) = folder();
    let path = folder.path().join("absent/server.sock");
    assert_eq!(
        unix(&path).await.unwrap_err().to_string(),
        format!(
            "cannot listen on unix:{}: create its folder first",
            path.display()
        )
    );
}

#[tokio::test]
async fn the_file_goes_with_the_server() {
    let (_folder, path) = folder();
    drop(unix(&path).await.unwrap());
    assert!(!path.exists());
}

#[tokio::test]
async fn the_file_of_a_successor_stays() {
    let (_folder, path) = folder();
    let (listener, file) = unix(&path).await.unwrap();
    fs::remove_file(&path).unwrap();
    let _successor = unix(&path).await.unwrap();
    drop((listener, file));
    assert!(path.exists());
}

#[tokio::test]
async fn a_taken_port_is_an_error_and_not_another_address() {
    let taken = tcp(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 0], 0)))
        .await
        .unwrap();
    let error = tcp(taken.local_addr().unwrap()).await.unwrap_err();
    assert!(error.to_string().ends_with("free it, or choose another"));
    assert!(matches!(error, ListenError::Tcp { .. }));
}
