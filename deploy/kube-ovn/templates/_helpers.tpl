{{/* The image of a role: (list $ "controller"). */}}
{{- define "kube-ovn.image" -}}
{{- $root := index . 0 -}}
image: {{ printf "%s/%s:%s" $root.Values.image.registry (index . 1) ($root.Values.image.tag | default $root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "kube-ovn.labels" -}}
app.kubernetes.io/part-of: kube-ovn
{{- end -}}

{{/* What pods have in common: (list $ $.Values.<workload>). */}}
{{- define "kube-ovn.pod" -}}
{{- $root := index . 0 -}}
{{- $workload := index . 1 -}}
priorityClassName: {{ $workload.priorityClassName }}
nodeSelector: {{- toYaml $workload.nodeSelector | nindent 2 }}
tolerations: {{- toYaml $workload.tolerations | nindent 2 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Arguments about logs. */}}
{{- define "kube-ovn.log" -}}
- --log-filter={{ .Values.log.filter }}
- --log-format={{ .Values.log.format }}
{{- end -}}

{{/* How the databases are found: the nodes of central, else the Services, by the variables that kubelet sets. */}}
{{- define "kube-ovn.databases" -}}
- name: ENABLE_SSL
  value: {{ .Values.enableSsl | quote }}
{{- with .Values.central.addresses }}
- name: OVN_DB_IPS
  value: {{ join "," . | quote }}
{{- end }}
{{- end -}}

{{/* Variables from fields of the pod: (dict "POD_IP" "status.podIP"). */}}
{{- define "kube-ovn.fields" -}}
{{- range $name, $path := . }}
{{- printf "- name: %s\n  valueFrom:\n    fieldRef:\n      fieldPath: %s\n" $name $path }}
{{- end }}
{{- end -}}

{{/* Probes of the admin server at the port. A program that works again must not be killed for what it waits for: liveness asks only whether it answers. */}}
{{- define "kube-ovn.probes" -}}
livenessProbe:
  httpGet:
    path: /healthz
    port: {{ . }}
  initialDelaySeconds: 10
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: {{ . }}
  periodSeconds: 3
  timeoutSeconds: 5
{{- end -}}

{{/* A folder of the node: (list <name> <path>). */}}
{{- define "kube-ovn.folder" -}}
- name: {{ index . 0 }}
  hostPath:
    path: {{ index . 1 }}
    type: DirectoryOrCreate
{{- end -}}

{{- define "kube-ovn.tls-mount" -}}
{{- if .Values.enableSsl -}}
- name: tls
  mountPath: /var/run/tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "kube-ovn.tls-volume" -}}
{{- if .Values.enableSsl -}}
- name: tls
  secret:
    secretName: kube-ovn-tls
{{- end }}
{{- end -}}
