package manifests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"

	"github.com/tuma-sms/tuma/deploy/schemas"
)

// TestHelm_Lint runs `helm lint` with the default values and with each value set.
func TestHelm_Lint(t *testing.T) {
	t.Parallel()
	sets := map[string]map[string]any{"defaults": {}}
	for name, file := range valueSets(t) {
		sets[name] = values(t, file)
	}
	kube, err := chartutil.ParseKubeVersion(schemas.KubernetesVersion)
	if err != nil {
		t.Fatal(err)
	}
	for name, own := range sets {
		result := lint.AllWithKubeVersion(chartDir, own, namespace, kube)
		for _, m := range result.Messages {
			if m.Severity >= support.WarningSev {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}

// TestHelm_Template renders the chart with every set of values. It checks the objects against the schemas of
// Kubernetes. It also checks that the objects refer only to existing objects.
func TestHelm_Template(t *testing.T) {
	t.Parallel()
	sets := map[string]map[string]any{"defaults": {}}
	for name, file := range valueSets(t) {
		sets[name] = values(t, file)
	}
	for name, own := range sets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := mustRender(t, own)
			if len(out.objects) < 5 || out.notes == "" {
				t.Fatalf("got %v and the notes %q", out.objects, out.notes)
			}
			for _, o := range out.objects {
				if err := validate(o); err != nil {
					t.Error(err)
				}
			}
			for _, problem := range inspect(out.objects, secretsOf(own)) {
				t.Error(problem)
			}
		})
	}
}

// secretsOf returns the names of the objects that the user creates for a set of values.
func secretsOf(own map[string]any) []string {
	names := []string{"Secret/tuma-redis", "Secret/tuma-secrets", "Secret/more", "ServiceAccount/sms"}
	for _, path := range [][]string{{"redis", "existingSecret"}, {"redis", "tlsSecret"}, {"secrets", "existingSecret"}} {
		names = append(names, "Secret/"+object(own).text(path...))
	}
	return names
}

// Each case of TestValidate_RefusesBrokenManifests makes one change in good objects, and the change must be
// found.
func TestValidate_RefusesBrokenManifests(t *testing.T) {
	t.Parallel()
	own := values(t, valueSets(t)["production"])
	out := mustRender(t, own)
	text := strings.Replace(out.kept, out.notes, "", 1)
	for _, c := range []struct{ what, old, new string }{
		{"misspelt field of a Deployment", "revisionHistoryLimit: 5", "revisionHistoryLimits: 5"},
		{"misspelt field of a container", "volumeMounts:", "volumeMount:"},
		{"field at the wrong depth", "enableServiceLinks: false", "readOnlyRootFilesystem: true"},
		{"text in place of a number", "maxSurge: 1, maxUnavailable: 0", "maxSurge: [1], maxUnavailable: 0"},
		{"missing selector", "  selector:\n    matchLabels:", "  selectors:\n    matchLabels:"},
		{"misspelt field of a probe", "failureThreshold: 6", "failureThresold: 6"},
		{"misspelt field of a ScaledObject", "maxReplicaCount:", "maxReplicas:"},
		{"wrong type in a ScaledObject", "pollingInterval: 15", "pollingInterval: 15s"},
		{"misspelt field of a ServiceMonitor", "endpoints:", "endpoint:"},
		{"misspelt field of an Ingress", "pathType: Prefix", "type: Prefix"},
		{"misspelt field of a NetworkPolicy", "policyTypes:", "policies:"},
		{"a port that no container has", "port: metrics}", "port: health}"},
		{"a volume that is not mounted from anywhere", "- name: secrets\n", "- name: logins\n"},
		{"a Secret of another name", "secretName: tuma-secrets", "secretName: tuma-secret"},
		{"a selector that fits no pod", "app.kubernetes.io/component: serve\n  policyTypes", "app.kubernetes.io/component: server\n  policyTypes"},
		{"a root file system that can be written", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"},
		{"a token of the API in the pod", "automountServiceAccountToken: false\n      enable", "automountServiceAccountToken: true\n      enable"},
		{"a quantity that is none", "memory: 512Mi", "memory: 512MB"},
		{"the target of a ScaledObject", "kind: Deployment, name: tuma-worker", "kind: Deployment, name: worker"},
	} {
		broken := strings.Replace(text, c.old, c.new, 1)
		if broken == text {
			t.Errorf("%s: the manifests have no %q", c.what, c.old)
			continue
		}
		if problems := check(t, broken, secretsOf(own)); len(problems) == 0 {
			t.Errorf("%s: nothing was found", c.what)
		}
	}
	if problems := check(t, text, secretsOf(own)); len(problems) > 0 {
		t.Errorf("unchanged: %v", problems)
	}
}

// check reads manifests from the parameter "text", and returns their problems.
func check(t *testing.T, text string, known []string) (problems []string) {
	t.Helper()
	var objects []object
	for _, doc := range strings.Split(text, "\n---\n") {
		parsed, err := parseObjects(doc)
		if err != nil {
			return []string{err.Error()}
		}
		for _, o := range parsed {
			if o.text("kind") != "" {
				objects = append(objects, o)
			}
		}
	}
	for _, o := range objects {
		if err := validate(o); err != nil {
			problems = append(problems, err.Error())
		}
	}
	return append(problems, inspect(objects, known)...)
}

// TestHelm_RefusesWrongValues checks that the chart refuses each mistake, with a helpful message.
func TestHelm_RefusesWrongValues(t *testing.T) {
	t.Parallel()
	const accounts = "config: {accounts: {a: {provider: kobo, timeout: 45s}, b: {provider: qserve}}}\n"
	for _, c := range []struct{ what, values, want string }{
		{"misspelt value", "worker: {replica: 3}", "replica"},
		{"misspelt section", "workers: {replicas: 3}", "workers"},
		{"misspelt key of tuma.yaml", "config: {accounts: {a: {provider: kobo, rates: 5/s}}}", "rates"},
		{"unknown provider", "config: {accounts: {a: {provider: twilio}}}", "provider"},
		{"password in plain text", "config: {accounts: {a: {provider: kobo, pass: hunter2}}}", "config.accounts.a.pass: a secret must not be among the values"},
		{"password around a variable", "config: {accounts: {a: {provider: connectmedia, password: 'hunter2${X}'}}}", "config.accounts.a.password"},
		{"password in a base_url", "config: {accounts: {a: {provider: kobo, base_url: 'https://u:hunter2@kobo'}}}", "base_url: must not have a login"},
		{"token in plain text", "config: {accounts: {a: {provider: textconnect, token: hunter2}}}", "token"},
		{"callback secret in plain text", "config: {accounts: {a: {provider: kobo, callback_secret: ['${OLD}', hunter2hunter2]}}}", "callback_secret"},
		{"password in the URL of Redis", "config: {redis: {url: 'redis://tuma:hunter2@redis:6379/0'}}", "config.redis.url: must not have a login"},
		{"password in an environment variable", "worker: {extraEnv: [{name: KOBO_PASS, value: hunter2}]}", "extraEnv"},
		{"grace period below the longest timeout", accounts + "worker: {terminationGracePeriodSeconds: 60}", "must be at least 75"},
		{"grace period of serve", "serve: {terminationGracePeriodSeconds: 30}", "must be at least 40"},
		{"timeout without a unit", "config: {accounts: {a: {provider: kobo, timeout: '45'}}}", "timeout"},
		{"unknown account in a group", accounts + "worker: {groups: [{name: g, accounts: [a, b, c]}]}", "no account c; its accounts: a, b"},
		{"account in no group", accounts + "worker: {groups: [{name: g, accounts: [a]}]}", "no group has the account b"},
		{"two groups of one name", accounts + "worker: {groups: [{name: g, accounts: [a]}, {name: g, accounts: [b]}]}", "two groups have the name g"},
		{"scaled group without a query", accounts + "worker: {autoscaling: {enabled: true}, groups: [{name: g, accounts: [a, b]}]}", "group g needs autoscaling.query"},
		{"fewer at most than at least", "worker: {autoscaling: {enabled: true, minReplicas: 5, maxReplicas: 2}}", "maxReplicas 2 is less than minReplicas 5"},
		{"no Redis", "redis: {existingSecret: ''}", "redis.existingSecret"},
		{"tag in place of a digest", "image: {digest: v1.2.3}", "digest"},
		{"ExternalSecret without a store", "externalSecret: {enabled: true, dataFrom: [{extract: {key: a}}]}", "externalSecret.store.name"},
		{"ExternalSecret without data", "externalSecret: {enabled: true, store: {name: vault}}", "externalSecret: data"},
		{"Ingress without a host", "serve: {ingress: {enabled: true}}", "serve.ingress.hosts"},
	} {
		_, err := render(parse(t, c.values))
		switch {
		case err == nil:
			t.Errorf("%s: not refused", c.what)
		case !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: the error %v does not mention %q", c.what, err, c.want)
		case strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the error shows the secret: %v", c.what, err)
		}
	}
}

// TestHelm_GracePeriod checks that the grace period is 30 s more than the longest timeout of the pod's
// accounts.
func TestHelm_GracePeriod(t *testing.T) {
	t.Parallel()
	account := func(timeout string) string { return "{provider: kobo, timeout: " + timeout + "}" }
	for _, c := range []struct {
		accounts string
		own      int // worker.terminationGracePeriodSeconds
		want     float64
	}{
		{"", 0, 60},
		{"a: {provider: kobo}", 0, 60},
		{"a: " + account("30s"), 0, 60},
		{"a: " + account("5s"), 0, 35},
		{"a: " + account("500ms"), 0, 31},
		{"a: " + account("100ms"), 0, 31},
		{"a: " + account("30.5s"), 0, 61},
		{"a: " + account("1m"), 0, 90},
		{"a: " + account("1m30s"), 0, 120},
		{"a: " + account("1.5m"), 0, 120},
		{"a: " + account("5m"), 0, 330},
		{"a: " + account("4m59s999ms"), 0, 330},
		{"a: " + account("10s") + ", b: " + account("2m") + ", c: " + account("20s"), 0, 150},
		{"a: " + account("10s") + ", b: {provider: qserve}", 0, 60},
		{"a: " + account("30s"), 60, 60},
		{"a: " + account("30s"), 600, 600},
	} {
		text := fmt.Sprintf("config: {accounts: {%s}}\nworker: {terminationGracePeriodSeconds: %d}", c.accounts, c.own)
		out, err := render(parse(t, text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := out.find(t, "Deployment/tuma-worker").at("spec", "template", "spec", "terminationGracePeriodSeconds"); got != c.want {
			t.Errorf("%s: got %v, want %v", text, got, c.want)
		}
	}
}

// TestHelm_Groups checks that each group has a separate Deployment. The Deployment must have the grace period
// of the group's accounts, and the values of the group, even values that are zero or false.
func TestHelm_Groups(t *testing.T) {
	t.Parallel()
	own := values(t, valueSets(t)["groups"])
	out := mustRender(t, own)
	bulk, slow := out.find(t, "Deployment/tuma-worker-bulk"), out.find(t, "Deployment/tuma-worker-slow")
	for _, c := range []struct {
		o        object
		grace    float64
		replicas any
		accounts string
	}{{bulk, 75, nil, "--accounts=kobo-main,qs"}, {slow, 150, 1.0, "--accounts=tc"}} {
		spec := object(c.o.at("spec", "template", "spec").(map[string]any))
		if got := spec.at("terminationGracePeriodSeconds"); got != c.grace {
			t.Errorf("%s: got the grace period %v, want %v", c.o, got, c.grace)
		}
		if got := c.o.at("spec", "replicas"); got != c.replicas {
			t.Errorf("%s: got %v replicas, want %v", c.o, got, c.replicas)
		}
		if args := containers(spec)[0].at("args").([]any); !slices.Contains(args, any(c.accounts)) {
			t.Errorf("%s: got %v, want %s among them", c.o, args, c.accounts)
		}
	}
	for _, o := range out.objects {
		if o.String() == "Deployment/tuma-worker" || o.String() == "ScaledObject/tuma-worker-slow" {
			t.Errorf("there must be no %s", o)
		}
	}
	zero := mustRender(t, parse(t, `
config: {accounts: {a: {provider: kobo}, b: {provider: kobo}}}
worker:
  autoscaling: {enabled: true}
  podDisruptionBudget: {enabled: true}
  groups:
    - {name: idle, accounts: [a], replicas: 0, autoscaling: {enabled: false}, podDisruptionBudget: {enabled: false}}
    - {name: auto, accounts: [b], autoscaling: {query: vector(1)}}`))
	if got := zero.find(t, "Deployment/tuma-worker-idle").at("spec", "replicas"); got != 0.0 {
		t.Errorf("got %v replicas, want 0 as the group says", got)
	}
	zero.find(t, "ScaledObject/tuma-worker-auto")
	for _, o := range zero.objects {
		if o.String() == "ScaledObject/tuma-worker-idle" || o.String() == "PodDisruptionBudget/tuma-worker-idle" {
			t.Errorf("there must be no %s", o)
		}
	}
}

// TestHelm_Rollout checks that pods restart when tuma.yaml changes, and not otherwise.
func TestHelm_Rollout(t *testing.T) {
	t.Parallel()
	const key = "checksum/config"
	sum := func(text, name string) any {
		return mustRender(t, parse(t, text)).find(t, name).at("spec", "template", "metadata", "annotations", key)
	}
	for _, name := range []string{"Deployment/tuma-worker", "Deployment/tuma-serve"} {
		before := sum("config: {accounts: {a: {provider: kobo, rate: 5/s}}}", name)
		if after := sum("config: {accounts: {a: {provider: kobo, rate: 6/s}}}", name); before == after || before == nil {
			t.Errorf("%s: got the checksums %v and %v, want two", name, before, after)
		}
		if same := sum("config: {accounts: {a: {provider: kobo, rate: 5/s}}}\nworker: {replicas: 9}", name); before != same {
			t.Errorf("%s: the number of workers changed the checksum", name)
		}
	}
}

// TestHelm_Digest checks that a digest takes precedence over a tag, and that all pods run the same image.
func TestHelm_Digest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ values, want string }{
		{"", "docker.io/tuma-sms/tuma:v0.1.0"},
		{"image: {tag: v9}", "docker.io/tuma-sms/tuma:v9"},
		{"image: {repository: r/t, tag: v9, digest: 'sha256:" + strings.Repeat("ab", 32) + "'}", "r/t@sha256:" + strings.Repeat("ab", 32)},
	} {
		out := mustRender(t, parse(t, c.values))
		for _, name := range []string{"Deployment/tuma-worker", "Deployment/tuma-serve", "Pod/tuma-check"} {
			spec := podSpec(out.find(t, name))
			if got := containers(spec)[0].text("image"); got != c.want {
				t.Errorf("%s: got the image %s, want %s", name, got, c.want)
			}
		}
	}
}
