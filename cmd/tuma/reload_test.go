package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/config"
)

// reloadRig is a reloader whose configuration is in a directory as Kubernetes mounts it. The files of this directory
// are links into a second directory, and Kubernetes replaces the second directory.
type reloadRig struct {
	t       *testing.T
	dir     string
	log     bytes.Buffer
	applied []*config.Config
	refuse  error
	*reloader
	swaps int
}

func newReloadRig(t *testing.T, yaml, pass string) *reloadRig {
	t.Helper()
	r := &reloadRig{t: t, dir: t.TempDir()}
	r.swap(yaml, pass)
	for _, name := range []string{"tuma.yaml", "pass"} {
		r.ok(os.Symlink(filepath.Join("..data", name), filepath.Join(r.dir, name)))
	}
	a := &app{err: &r.log, configPath: filepath.Join(r.dir, "tuma.yaml")}
	cfg, err := a.config(true)
	r.ok(err)
	_, process, err := newMetrics(cfg)
	r.ok(err)
	r.reloader = newReloader(a, cfg, zerolog.New(&r.log), process, func(_ context.Context, c *config.Config) ([]string, error) {
		if r.refuse != nil {
			return nil, r.refuse
		}
		r.applied = append(r.applied, c)
		return nil, nil
	})
	return r
}

func (r *reloadRig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// swap replaces both files at once, as Kubernetes does. If the parameter "pass" is empty, swap
// removes the password file.
func (r *reloadRig) swap(yaml, pass string) {
	r.t.Helper()
	r.swaps++
	name := "data" + strconv.Itoa(r.swaps)
	r.ok(os.Mkdir(filepath.Join(r.dir, name), 0o700))
	r.ok(os.WriteFile(filepath.Join(r.dir, name, "tuma.yaml"), []byte(yaml), 0o600))
	if pass != "" {
		r.ok(os.WriteFile(filepath.Join(r.dir, name, "pass"), []byte(pass), 0o600))
	}
	next := filepath.Join(r.dir, "..next")
	r.ok(os.Symlink(name, next))
	r.ok(os.Rename(next, filepath.Join(r.dir, "..data")))
}

// The method "checks" calls the method "check" twice, and returns how many configurations were applied so far.
func (r *reloadRig) checks() int {
	r.check(r.t.Context(), false)
	r.check(r.t.Context(), false)
	return len(r.applied)
}

const reloadYAML = "accounts: {kobo: {provider: kobo, user: u, pass_file: pass, rate: 10/s}}\n"

func TestReload_TakesSwappedFiles(t *testing.T) {
	t.Parallel()
	r := newReloadRig(t, reloadYAML, "first")
	if n := r.checks(); n != 0 {
		t.Errorf("%d reloads without a change", n)
	}
	r.swap(reloadYAML, "second")
	r.check(t.Context(), false)
	if len(r.applied) != 0 {
		t.Error("a change was applied at the first check, when the file may be half written")
	}
	if n := r.checks(); n != 1 || r.applied[0].Account("kobo").Ready() != nil {
		t.Errorf("%d reloads after a new secret, want 1", n)
	}
	r.swap(strings.Replace(reloadYAML, "10/s", "20/s", 1), "second")
	if n := r.checks(); n != 2 || r.applied[1].Account("kobo").Worker.Rate != 20 {
		t.Errorf("%d reloads after a new rate, want 2", n)
	}
	if n := r.checks(); n != 2 || strings.Contains(r.log.String(), "second") {
		t.Errorf("%d reloads at the end, want 2; the log is %s", n, r.log.String())
	}
	r.swap(reloadYAML, "third")
	r.check(t.Context(), true)
	if len(r.applied) != 3 {
		t.Error("a check that a person has asked for did not apply the change at once")
	}
}

func TestReload_ABrokenFileChangesNothing(t *testing.T) {
	t.Parallel()
	r := newReloadRig(t, reloadYAML, "first")
	for name, broken := range map[string]string{"not YAML": "accounts: {", "unknown key": "acounts: {}\n", "bad rate": strings.Replace(reloadYAML, "10/s", "fast", 1)} {
		r.swap(broken, "first")
		if n := r.checks(); n != 0 || r.detail() == "" {
			t.Errorf("%s: %d reloads and the detail %q; want none, and the reason", name, n, r.detail())
		}
		before := strings.Count(r.log.String(), "cannot be used")
		r.checks()
		if after := strings.Count(r.log.String(), "cannot be used"); after != before {
			t.Errorf("%s: the same failure was logged again", name)
		}
	}
	r.swap(reloadYAML, "first")
	if n := r.checks(); n != 0 || r.detail() != "" {
		t.Errorf("the old content again: %d reloads and the detail %q; want neither", n, r.detail())
	}
	r.refuse = misuse("account kobo lacks something")
	r.swap(reloadYAML, "")
	if n := r.checks(); n != 0 || !strings.Contains(r.detail(), "lacks something") {
		t.Errorf("what the command refuses: %d reloads and the detail %q", n, r.detail())
	}
	r.refuse = nil
	r.swap(reloadYAML, "second")
	if n := r.checks(); n != 1 || r.detail() != "" {
		t.Errorf("a good file at last: %d reloads and the detail %q; want one", n, r.detail())
	}
	if strings.Contains(r.log.String(), "second") || strings.Contains(r.log.String(), "first") {
		t.Errorf("the log has a secret: %s", r.log.String())
	}
}

// After SIGHUP the files are swapped between two reads of the reloader. The configuration in use must not be a mixture
// of old and new files.
func TestReload_FilesSwappedDuringTheReading(t *testing.T) {
	t.Parallel()
	r := newReloadRig(t, reloadYAML, "first")
	swapped, readOnce := strings.Replace(reloadYAML, "10/s", "20/s", 1), r.read
	r.read = func() (*config.Config, error) {
		r.read = readOnce
		r.swap(swapped, "first") // the first reading gets the new tuma.yaml and the old password
		cfg, err := readOnce()
		r.swap(swapped, "second")
		return cfg, err
	}
	r.check(t.Context(), true)
	want, err := readOnce()
	r.ok(err)
	if len(r.applied) != 1 || r.applied[0].Digest != want.Digest {
		t.Errorf("%d configurations were applied, want only the one that the files have at the end", len(r.applied))
	}
	r.read = func() (*config.Config, error) {
		r.swap(swapped, "pass"+strconv.Itoa(r.swaps))
		return readOnce()
	}
	r.check(t.Context(), true)
	if len(r.applied) != 1 || !strings.Contains(r.detail(), "change while they are read") {
		t.Errorf("%d configurations were applied while the files change at each reading, and the detail is %q; want none further", len(r.applied), r.detail())
	}
}

// A setting that takes effect only after a restart is named in the log.
func TestReload_NamesWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	r := newReloadRig(t, reloadYAML, "first")
	before := r.inUse
	for yaml, want := range map[string]string{
		"redis: {url: \"redis://127.0.0.1:1/0\"}\n":     "redis",
		"tracing: {endpoint: \"http://127.0.0.1:1\"}\n": "tracing",
	} {
		r.swap(reloadYAML, "first")
		r.checks()
		r.log.Reset()
		if r.swap(reloadYAML+yaml, "first"); r.checks() == 0 || !strings.Contains(r.log.String(), `"settings":["`+want+`"]`) {
			t.Errorf("%s: the log does not name %s: %s", yaml, want, r.log.String())
		}
	}
	for yaml, want := range map[string]string{
		reloadYAML + "inbound: {keep: 24h}\n":                            "inbound: keep and max",
		reloadYAML + "inbound: {max: 10}\n":                              "inbound: keep and max",
		reloadYAML + "inbound: {poll: \"off\"}\n":                        "inbound: poll",
		strings.Replace(reloadYAML, "10/s", "10/s, report_rate: 3/s", 1): "account kobo: report_rate",
		strings.Replace(reloadYAML, "10/s", "10/s, reports: off", 1):     "account kobo: reports",
		strings.Replace(reloadYAML, "10/s", "10/s, timeout: 9s", 1):      "account kobo: timeout",
		reloadYAML + "messages: {purge_body: false}\n":                   "",
		strings.Replace(reloadYAML, "10/s", "20/s", 1):                   "",
		reloadYAML + "inbound: {stop_words: [\"STOP\", \"BASTA\"]}\n":    "",
	} {
		r.swap(yaml, "first")
		r.checks()
		next := r.inUse
		got := strings.Join(append(inboundRestarts(before.Inbound, next.Inbound), reportRestarts(before, next)...), ", ")
		if got != want || next == before {
			t.Errorf("%s: needs a restart for %q, want %q", yaml, got, want)
		}
	}
}
