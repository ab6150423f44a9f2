{{- define "tuma.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "tuma.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "tuma.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "tuma.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Labels that select pods. They must not change between releases. */ -}}
{{- define "tuma.selector" -}}
app.kubernetes.io/name: {{ include "tuma.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tuma.labels" -}}
{{ include "tuma.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tuma.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "tuma.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tuma.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* "true" if the URL of Redis comes from redis.existingSecret. */ -}}
{{- define "tuma.redisFromSecret" -}}
{{- $redis := default dict .Values.config.redis -}}
{{- if not (or $redis.url $redis.url_file) -}}
{{- if not .Values.redis.existingSecret -}}
{{- fail "redis.existingSecret: name a Secret with the URL of Redis, or set config.redis.url or config.redis.url_file" -}}
{{- end -}}
true
{{- end -}}
{{- end -}}

{{- /*
Fails if config has a secret in plain text. Values are kept in the cluster and printed by helm get, so secrets must
not be among them. The schema does not check this, because its error would show the secret.
*/ -}}
{{- define "tuma.checkSecrets" -}}
{{- $variable := "^\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}$" -}}
{{- range $name, $account := .Values.config.accounts -}}
{{- range $field := list "pass" "password" "token" "api_key" "callback_secret" -}}
{{- $given := get $account $field -}}
{{- range (kindIs "slice" $given | ternary $given (list $given)) -}}
{{- if and . (not (regexMatch $variable (toString .))) -}}
{{- fail (printf "config.accounts.%s.%s: a secret must not be among the values: put it into the Secret secrets.existingSecret and use %s_file, or write ${VAR}" $name $field $field) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "://[^/]*@" (toString $account.base_url) -}}
{{- fail (printf "config.accounts.%s.base_url: must not have a login" $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $webhook := .Values.config.webhooks -}}
{{- $given := $webhook.secret -}}
{{- range (kindIs "slice" $given | ternary $given (list $given)) -}}
{{- if and . (not (regexMatch $variable (toString .))) -}}
{{- fail (printf "config.webhooks.%s.secret: a secret must not be among the values: put it into the Secret secrets.existingSecret and use secret_file, or write ${VAR}" $name) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "://[^/]*@" (toString $webhook.url) -}}
{{- fail (printf "config.webhooks.%s.url: must not have a login" $name) -}}
{{- end -}}
{{- end -}}
{{- with .Values.config.redis -}}
{{- if regexMatch "://[^/]*@" (toString .url) -}}
{{- fail "config.redis.url: must not have a login: put the URL into the Secret redis.existingSecret, or use url_file" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* tuma.yaml: the value config, with the file of the Redis URL. */ -}}
{{- define "tuma.config" -}}
{{- include "tuma.checkSecrets" . -}}
{{- $config := deepCopy .Values.config -}}
{{- if include "tuma.redisFromSecret" . -}}
{{- $redis := merge (dict "url_file" (printf "/run/secrets/tuma-redis/%s" .Values.redis.key)) (default dict $config.redis) -}}
{{- $_ := set $config "redis" $redis -}}
{{- end -}}
{{- /* YAML reads an unquoted off as false. */ -}}
{{- if kindIs "bool" $config.windows -}}{{- $_ := set $config "windows" "off" -}}{{- end -}}
{{- if kindIs "map" $config.windows -}}
{{- range $country, $hours := $config.windows -}}
{{- if kindIs "bool" $hours -}}{{- $_ := set $config.windows $country "off" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- with $config.inbound -}}{{- if kindIs "bool" .poll -}}{{- $_ := set . "poll" "off" -}}{{- end -}}{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- /* Seconds of a duration such as 1m30s or 500ms, rounded up. */ -}}
{{- define "tuma.seconds" -}}
{{- $zero := toDate "2006-01-02T15:04:05Z07:00" "1970-01-01T00:00:00Z" -}}
{{- $whole := $zero | mustDateModify . | unixEpoch | int64 -}}
{{- $left := $zero | mustDateModify (printf "-%ds" $whole) | mustDateModify . -}}
{{- if $left.After $zero -}}{{- add1 $whole -}}{{- else -}}{{- $whole -}}{{- end -}}
{{- end -}}

{{- /*
The grace period of worker pods. A worker that drains waits for its calls in flight, which may take the timeout of
their account, and then writes their results to Redis. Arguments: root, accounts (names; empty: all).
*/ -}}
{{- define "tuma.workerGrace" -}}
{{- $longest := 0 -}}
{{- range $name, $account := .root.Values.config.accounts -}}
{{- if or (not $.accounts) (has $name $.accounts) -}}
{{- $longest = max $longest (include "tuma.seconds" (toString (default "30s" $account.timeout)) | int64) -}}
{{- end -}}
{{- end -}}
{{- $least := add (default 30 $longest) 30 -}}
{{- $given := .root.Values.worker.terminationGracePeriodSeconds | int64 -}}
{{- if and $given (lt $given $least) -}}
{{- fail (printf "worker.terminationGracePeriodSeconds: %d is too short: the longest timeout of the accounts is %d s, so it must be at least %d, or 0 to compute it" $given (sub $least 30) $least) -}}
{{- end -}}
{{- default $least $given -}}
{{- end -}}

{{- define "tuma.serveGrace" -}}
{{- $least := add .Values.serve.preStopSeconds 35 -}}
{{- $given := .Values.serve.terminationGracePeriodSeconds | int64 -}}
{{- if and $given (lt $given $least) -}}
{{- fail (printf "serve.terminationGracePeriodSeconds: %d is too short: serve finishes its requests within 30 s after preStopSeconds, so it must be at least %d, or 0 to compute it" $given $least) -}}
{{- end -}}
{{- default $least $given -}}
{{- end -}}

{{- /* Fails unless each account is in a group, and each name in a group is an account. */ -}}
{{- define "tuma.checkGroups" -}}
{{- $known := keys (default dict .Values.config.accounts) | sortAlpha -}}
{{- $served := list -}}
{{- $names := list -}}
{{- range .Values.worker.groups -}}
{{- if has .name $names -}}{{- fail (printf "worker.groups: two groups have the name %s" .name) -}}{{- end -}}
{{- $names = append $names .name -}}
{{- range .accounts -}}
{{- if not (has . $known) -}}{{- fail (printf "worker.groups: config.accounts has no account %s; its accounts: %s" . (join ", " $known)) -}}{{- end -}}
{{- $served = append $served . -}}
{{- end -}}
{{- end -}}
{{- range $known -}}
{{- if and $names (not (has . $served)) -}}{{- fail (printf "worker.groups: no group has the account %s, so no worker would send its messages" .) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Where pods are placed. Arguments: root, component, group, own (the values of the component). */ -}}
{{- define "tuma.placement" -}}
{{- with .own.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
{{- if .own.topologySpreadConstraints }}
{{- toYaml .own.topologySpreadConstraints | nindent 2 }}
{{- else }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "tuma.podSelector" $ | nindent 8 }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Labels that select the pods of one Deployment. Arguments: root, component, group. */ -}}
{{- define "tuma.podSelector" -}}
{{ include "tuma.selector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- with .group }}
tuma/group: {{ . }}
{{- end }}
{{- end -}}

{{- define "tuma.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "tuma.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* Environment of a container that reads tuma.yaml. Arguments: root, own. */ -}}
{{- define "tuma.env" -}}
env:
  - {name: TUMA_CONFIG, value: /etc/tuma/tuma.yaml}
{{- with .own.extraEnv }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- if and .root.Values.secrets.env .root.Values.secrets.existingSecret }}
envFrom:
  - secretRef: {name: {{ .root.Values.secrets.existingSecret }}}
{{- end }}
{{- end -}}

{{- define "tuma.mounts" -}}
- {name: config, mountPath: /etc/tuma, readOnly: true}
{{- if .root.Values.secrets.existingSecret }}
- {name: secrets, mountPath: /run/secrets/tuma, readOnly: true}
{{- end }}
{{- if include "tuma.redisFromSecret" .root }}
- {name: redis, mountPath: /run/secrets/tuma-redis, readOnly: true}
{{- end }}
{{- if .root.Values.redis.tlsSecret }}
- {name: redis-tls, mountPath: /run/secrets/tuma-redis-tls, readOnly: true}
{{- end }}
- {name: tmp, mountPath: /tmp}
{{- with .own.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tuma.volumes" -}}
- name: config
  configMap: {name: {{ include "tuma.fullname" .root }}-config}
{{- with .root.Values.secrets.existingSecret }}
- name: secrets
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if include "tuma.redisFromSecret" .root }}
- name: redis
  secret:
    secretName: {{ .root.Values.redis.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ .root.Values.redis.key }}, path: {{ .root.Values.redis.key }}}]
{{- end }}
{{- with .root.Values.redis.tlsSecret }}
- name: redis-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: 2Gi}
{{- with .own.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Probes on the port metrics. /healthz does not need Redis, so a Redis that is away restarts no pod. */ -}}
{{- define "tuma.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}
