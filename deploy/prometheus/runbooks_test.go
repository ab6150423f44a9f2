package prometheus

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/deploy/deploytest"
)

// The function "commands" returns the lines of a runbook that run tuma.
func commands(t *testing.T, file string) (out []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		out = append(out, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	return out
}

// TestRunbooks_CommandsRun runs all commands of each runbook. It has simulated gateways, a worker, and a Redis
// with the campaigns and the account that these commands name. A command need not have an effect, but its arguments
// must be right.
func TestRunbooks_CommandsRun(t *testing.T) {
	t.Parallel()
	tuma, redis, dir := deploytest.Tuma(t), deploytest.Redis(t, "--appendonly", "yes", "--maxmemory-policy", "noeviction"), t.TempDir()
	gateway := deploytest.FreeAddress(t)
	config := "accounts:\n  kobo-main: {provider: kobo, base_url: \"http://" + gateway + "/kobo\", user: demo, pass: demopass, sender: ACME, rate: 50/s}\ndefault_country: KE\nwindows: off\n"
	for name, text := range map[string]string{"tuma.yaml": config, "list.csv": "phone\n0710000000\n0710000001\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"TUMA_REDIS_URL=redis://" + redis, "TUMA_CONFIG=" + filepath.Join(dir, "tuma.yaml")}
	deploytest.Start(t, dir, env, tuma, "sandbox", "--listen", gateway)
	deploytest.Wait(t, "the sandbox", func() bool { return deploytest.Listens(gateway) })
	deploytest.Start(t, dir, env, tuma, "worker")
	books, err := filepath.Glob("../runbooks/*.md")
	if err != nil || len(books) == 0 {
		t.Fatalf("%d runbooks, %v", len(books), err)
	}
	for _, book := range books {
		lines := commands(t, book)
		if len(lines) == 0 {
			t.Errorf("%s has no command", book)
		}
		for _, id := range []string{"spring-sale", "old-sale"} {
			run(t, dir, env, tuma, []string{"send", "--id", id + "-" + strings.ToLower(filepath.Base(book)), "--via", "kobo-main", "--body", "Hello", "--file", "list.csv", "--yes", "--wait"}, 0)
		}
		for _, line := range lines {
			for _, id := range []string{"spring-sale", "old-sale"} {
				line = strings.ReplaceAll(line, id, id+"-"+strings.ToLower(filepath.Base(book)))
			}
			words := strings.Fields(line)
			if words[0] != "tuma" {
				t.Errorf("%s: %q does not run tuma", book, line)
				continue
			}
			run(t, dir, env, tuma, words[1:], 0, 1)
		}
		run(t, dir, env, tuma, []string{"release", "kobo-main"}, 0)
		run(t, dir, env, tuma, []string{"rate", "kobo-main", "default"}, 0)
	}
}

// run runs tuma. The exit status must be one of the given values.
func run(t *testing.T, dir string, env []string, tuma string, args []string, want ...int) {
	t.Helper()
	if out, status := deploytest.Run(t, dir, env, tuma, args...); !slices.Contains(want, status) {
		t.Errorf("tuma %s: exit %d, want one of %v\n%s", strings.Join(args, " "), status, want, out)
	}
}
