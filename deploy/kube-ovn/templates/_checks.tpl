{{/*
Checks of values that a JSON schema can only refuse without saying why.
*/}}

{{- define "kube-ovn.check" -}}
{{- $pods := include "kube-ovn.families" (dict "name" "podCidr" "value" .Values.podCidr) -}}
{{- $join := include "kube-ovn.families" (dict "name" "joinCidr" "value" .Values.joinCidr) -}}
{{- $services := include "kube-ovn.families" (dict "name" "serviceCidr" "value" .Values.serviceCidr) -}}
{{- if ne $pods $join -}}
  {{- fail (printf "joinCidr %q has other address families than podCidr %q: give one CIDR for each family of podCidr" .Values.joinCidr .Values.podCidr) -}}
{{- end -}}
{{- if not (contains $services $pods) -}}
  {{- fail (printf "serviceCidr %q has an address family that podCidr %q lacks: pods could not reach those Services; give podCidr a CIDR of that family, too" .Values.serviceCidr .Values.podCidr) -}}
{{- end -}}
{{- if and (eq .Values.datapathType "netdev") (not .Values.tunnelInterface) -}}
  {{- fail "datapathType netdev takes its NIC from the kernel: name one by tunnelInterface that the node does not need otherwise" -}}
{{- end -}}
{{- end -}}

{{/* "4", "6" or "46": the families of a value `name` with one or two CIDRs. */}}
{{- define "kube-ovn.families" -}}
{{- $families := dict -}}
{{- range $cidr := splitList "," .value -}}
  {{- $family := include "kube-ovn.family" $cidr -}}
  {{- if not $family -}}
    {{- fail (printf "%s: %q is no CIDR; write an address and the length of its prefix, as 10.16.0.0/16 or fd00:10:16::/64, or one of each family joined by a comma without spaces" $.name $cidr) -}}
  {{- end -}}
  {{- if hasKey $families $family -}}
    {{- fail (printf "%s: %q has two CIDRs of one family; give one IPv4 CIDR, one IPv6 CIDR, or one of each" $.name $.value) -}}
  {{- end -}}
  {{- $_ := set $families $family true -}}
{{- end -}}
{{- keys $families | sortAlpha | join "" -}}
{{- end -}}

{{/* "4" or "6" for a CIDR, else nothing. */}}
{{- define "kube-ovn.family" -}}
{{- $byte := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" -}}
{{- $group := "[0-9a-fA-F]{1,4}" -}}
{{- if regexMatch (printf "^(%s[.]){3}%s/(3[0-2]|[12]?[0-9])$" $byte $byte) . -}}
4
{{- else if regexMatch "/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$" . -}}
  {{- $address := regexReplaceAll "/.*$" . "" -}}
  {{- $whole := printf "^(%s:){7}%s$" $group $group -}}
  {{- $short := printf "^(%s(:%s)*)?::(%s(:%s)*)?$" $group $group $group $group -}}
  {{- $groups := len (regexFindAll $group $address -1) -}}
  {{- if or (regexMatch $whole $address) (and (regexMatch $short $address) (lt $groups 8)) -}}
6
  {{- end -}}
{{- end -}}
{{- end -}}
