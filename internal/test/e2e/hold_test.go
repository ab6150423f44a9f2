package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// TestHold_WrongConfigurationIsRepaired makes a typical mistake in tuma.yaml and sends a campaign. It
// reads the output of `tuma status` and `tuma accounts`, corrects the mistake and restarts the worker.
func TestHold_WrongConfigurationIsRepaired(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, reason string
		spoil        func(config string) string
	}{
		{"a path that is not there", "configuration", func(c string) string { return suffixBaseURL(c, "/wrong") }},
		{"a refused connection", "connection", func(c string) string { return replaceBaseURL(c, "http://"+closedPort(t)) }},
		{"a wrong password", "credentials", func(c string) string { return strings.Replace(c, "pass: demopass", "pass: other", 1) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newDeployment(t, simulator.Options{Users: map[string]string{"demo": "demopass"}}, "timeout: 2s")
			good, err := os.ReadFile(filepath.Join(f.dir, "tuma.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			f.write("tuma.yaml", tt.spoil(string(good)))
			w := f.start()
			f.must("send", "--id", "c", "--via", "kobo-main", "--body", text, "--file", f.recipients("list.csv", 5000))
			f.eventually(20*time.Second, "the hold", func() bool { return len(f.status("c").BlockedBy) > 0 })
			s := f.status("c")
			if b := s.BlockedBy[0]; b.Account != "kobo-main" || b.Reason != tt.reason {
				t.Errorf("blocked by %+v, want kobo-main with the reason %s", b, tt.reason)
			}
			if s.Pending != 5000 {
				t.Errorf("got %+v; want Pending 5000: a held account uses up no attempt", s)
			}
			if n := f.gateway.Stats().Calls; n > 8+3 {
				t.Errorf("got %d calls before the hold, want at most 11", n)
			}
			for _, args := range [][]string{{"status", "c"}, {"accounts"}} {
				if out := f.must(args...); !strings.Contains(out, tt.reason) {
					t.Errorf("tuma %s does not print %q:\n%s", args[0], tt.reason, out)
				}
			}

			f.write("tuma.yaml", string(good))
			f.drain(w)
			f.start()
			if s := f.wait("c", 60*time.Second); s.State != producer.Done || s.Accepted != 5000 {
				t.Errorf("after the repair: %+v; want State Done, Accepted 5000", s)
			}
			f.compare("c", 5000)
		})
	}
}

func suffixBaseURL(config, suffix string) string {
	line := baseURLLine(config)
	return strings.Replace(config, line, line+suffix, 1)
}

func replaceBaseURL(config, url string) string {
	return strings.Replace(config, baseURLLine(config), "    base_url: "+url, 1)
}

func baseURLLine(config string) string {
	for line := range strings.SplitSeq(config, "\n") {
		if strings.Contains(line, "base_url:") {
			return line
		}
	}
	return ""
}

// closedPort returns an address of this machine that refuses connections.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
