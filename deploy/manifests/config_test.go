package manifests

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/deploy/deploytest"
)

// TestConfig_EveryValueSet checks that the tuma command can read the tuma.yaml of each value set, and that each
// file in this tuma.yaml is below a folder that the pods mount.
func TestConfig_EveryValueSet(t *testing.T) {
	t.Parallel()
	redis := deploytest.Redis(t, "--appendonly", "yes")
	for name, file := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := mustRender(t, values(t, file))
			text := configOf(t, out.objects)
			reads(t, text, redis)
			mounts := mountsOf(out.objects)
			for _, path := range secretFile.FindAllString(text, -1) {
				if !slices.Contains(mounts, filepath.Dir(path)) {
					t.Errorf("tuma.yaml names %s, but the pods mount only %v", path, mounts)
				}
			}
		})
	}
}

var secretFile = regexp.MustCompile(`/run/secrets/[-./\w]+`)

// mountsOf returns the folders that every worker mounts.
func mountsOf(objects []object) (out []string) {
	for _, o := range objects {
		if o.text("kind") != "Deployment" || podLabels(o)["app.kubernetes.io/component"] != "worker" {
			continue
		}
		for _, m := range list(containers(podSpec(o))[0], "volumeMounts") {
			out = append(out, m.text("mountPath"))
		}
		return out
	}
	return nil
}

// The function "reads" fails the test unless the tuma command accepts a tuma.yaml. In this check, files and
// variables with secrets have planted values.
func reads(t *testing.T, text, redis string) {
	t.Helper()
	dir := t.TempDir()
	for _, path := range secretFile.FindAllString(text, -1) {
		file := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("planted-secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "tuma.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "/run/secrets/", dir+"/run/secrets/")), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"TUMA_REDIS_URL=redis://" + redis}
	for _, m := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(text, -1) {
		env = append(env, m[1]+"=planted-secret-"+m[1])
	}
	out, status := deploytest.Run(t, dir, env, deploytest.Tuma(t), "accounts", "sync", "--config", file)
	if status != 0 || strings.Contains(out, "planted-secret") {
		t.Errorf("tuma accounts sync: status %d: %s\nwith this tuma.yaml:\n%s", status, out, text)
	}
}

// TestConfig_SchemaHasEveryKey checks that the schema of the values has every key of tuma.yaml that the command
// accepts. If tuma.yaml has an unknown key, the command prints all known keys, and the test
// compares these keys with the schema.
func TestConfig_SchemaHasEveryKey(t *testing.T) {
	t.Parallel()
	var schema object
	if err := json.Unmarshal([]byte(deploytest.Read(t, chartDir+"/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	properties := func(path ...string) map[string]any {
		m, _ := schema.at(append([]string{"definitions"}, path...)...).(map[string]any)
		return m
	}
	config := properties("config", "properties")
	const unknown = "qqqqqqqqqqqqqqqqqqqqqqqq"
	// The test takes the sections from the schema, so that it also covers every section that is added to the
	// schema later.
	text := unknown + ": 1\naccounts:\n"
	providers := properties("account", "properties", "provider")["enum"].([]any)
	for i, provider := range providers {
		text += fmt.Sprintf("  a%d: {provider: %s, %s: 1}\n", i, provider, unknown)
	}
	sections := map[string]map[string]any{"": config}
	for name, value := range config {
		section := object(value.(map[string]any))
		for child, v := range properties("config", "properties", name, "properties") {
			if inner, ok := object(v.(map[string]any)).at("properties").(map[string]any); ok {
				sections[name+"."+child] = inner
			}
		}
		if inner, ok := section.at("properties").(map[string]any); ok {
			sections[name] = inner
			text += fmt.Sprintf("%s: {%s: 1}\n", name, unknown)
		}
	}
	file := filepath.Join(t.TempDir(), "tuma.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := deploytest.Run(t, t.TempDir(), nil, deploytest.Tuma(t), "check", "--config", file)
	found := regexp.MustCompile(`([\w.]*?)\.?`+unknown+`: unknown key; known keys: (.*)`).FindAllStringSubmatch(out, -1)
	if len(found) < 4+len(providers) {
		t.Fatalf("got %d lists of keys, want one for each section:\n%s", len(found), out)
	}
	for _, m := range found {
		section := m[1]
		known := sections[section]
		if strings.HasPrefix(section, "accounts.") {
			known = properties("account", "properties")
		}
		for key := range strings.SplitSeq(m[2], ", ") {
			if known[key] == nil {
				t.Errorf("values.schema.json lacks the key %s of section %q of config; it has %v", key, section, slices.Sorted(maps.Keys(known)))
			}
		}
	}
}

// TestConfig_NoSecretIsKept plants a secret in every value that may hold a secret, and looks for the planted
// secrets in all data that helm keeps. The chart must refuse each of these values.
func TestConfig_NoSecretIsKept(t *testing.T) {
	t.Parallel()
	const planted = "planted-s3cret"
	for _, text := range []string{
		"config: {accounts: {a: {provider: kobo, user: '${U}', pass: %s}}}",
		"config: {accounts: {a: {provider: textconnect, token: %s}}}",
		"config: {accounts: {a: {provider: africastalking, username: acme, api_key: %s}}}",
		"config: {accounts: {a: {provider: qserve, username: acme, api_key: %s}}}",
		"config: {accounts: {a: {provider: connectmedia, username: acme, password: %s}}}",
		"config: {accounts: {a: {provider: kobo, callback_secret: %s}}}",
		"config: {accounts: {a: {provider: kobo, callback_secret: [%s]}}}",
		"config: {webhooks: {crm: {url: 'https://crm.example.org', secret: %s}}}",
		"config: {webhooks: {crm: {url: 'https://crm.example.org', secret: [%s]}}}",
		"config: {webhooks: {crm: {url: 'https://crm:%s@crm.example.org'}}}",
		"config: {redis: {url: 'redis://:%s@redis:6379'}}",
		"config: {redis: {url: 'redis-sentinel://tuma:%s@a,b/main'}}",
		"worker: {extraEnv: [{name: MY_PASSWORD, value: %s}]}",
		"worker: {extraEnv: [{name: TUMA_REDIS_URL, value: 'redis://:%s@redis'}]}",
		"serve: {extraEnv: [{name: AT_CALLBACK, value: %s}]}",
		"redis: {url: 'redis://:%s@redis:6379'}",
		"secrets: {data: {kobo-pass: %s}}",
		"externalSecret: {data: {kobo-pass: %s}}",
	} {
		out, err := render(parse(t, fmt.Sprintf(text, planted)))
		if err == nil {
			t.Errorf("%s: not refused", text)
		}
		if strings.Contains(out.kept, planted) {
			t.Errorf("%s: the secret is in what helm keeps", text)
		}
		if err != nil && strings.Contains(err.Error(), planted) {
			t.Errorf("%s: the error shows the secret: %v", text, err)
		}
	}
	// The value sets refer to Secrets by name. So the chart must not make an object of the kind Secret.
	for name, file := range valueSets(t) {
		for _, o := range mustRender(t, values(t, file)).objects {
			if o.text("kind") == "Secret" {
				t.Errorf("%s: the chart makes %s", name, o)
			}
		}
	}
}
