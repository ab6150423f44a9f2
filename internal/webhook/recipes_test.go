package webhook

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/producer"
)

// The receivers of docs/webhooks.md accept a message of Tuma, and refuse every other message.
func TestRecipes_VerifyMessages(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for file, program := range map[string]string{"receiver.py": "python3", "receiver.js": "node"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			m := regexp.MustCompile("(?s)<!-- " + regexp.QuoteMeta(file) + " -->\n```[a-z]+\n(.*?)\n```").FindSubmatch(page)
			if m == nil {
				t.Fatal("the page has no such program")
			}
			if _, err := exec.LookPath(program); err != nil {
				t.Fatalf("%s is not installed: apt-get install -y python3 nodejs", program)
			}
			name := filepath.Join(t.TempDir(), file)
			if err := os.WriteFile(name, m[1], 0o600); err != nil {
				t.Fatal(err)
			}
			verifyRecipe(t, exec.CommandContext(t.Context(), program, name))
		})
	}
}

// startRecipe starts a receiver, and returns its URL.
func startRecipe(t *testing.T, c *exec.Cmd) (url string) {
	t.Helper()
	c.Env = append(os.Environ(), "PORT=0", "WEBHOOK_SECRET="+firstSecret)
	c.Stderr = t.Output()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "listening on ") {
		t.Fatalf("the receiver prints %q", lines.Text())
	}
	return "http://127.0.0.1:" + strings.TrimPrefix(lines.Text(), "listening on ") + "/"
}

// verifyRecipe sends valid and invalid messages to a receiver.
func verifyRecipe(t *testing.T, c *exec.Cmd) {
	t.Helper()
	url, now := startRecipe(t, c), time.Now()
	body, err := newBody(producer.Event{Cursor: "1-0", Kind: events.CampaignState, Campaign: "sale é", At: now}, now)
	if err != nil {
		t.Fatal(err)
	}
	s := newSender(nil)
	t.Cleanup(s.close)
	right, rotated, other := endpoint(url), endpoint(url), endpoint(url)
	rotated.Secrets = []Secret{{Key: secondSecret}, {Key: firstSecret}}
	other.Secrets = []Secret{{Key: secondSecret}}
	for what, x := range map[string]struct {
		endpoint *Endpoint
		at       time.Time
		want     int
	}{
		"right": {right, now, http.StatusNoContent}, "two secrets": {rotated, now, http.StatusNoContent}, "another secret": {other, now, http.StatusUnauthorized},
		"too old": {right, now.Add(-6 * time.Minute), http.StatusUnauthorized}, "too new": {right, now.Add(6 * time.Minute), http.StatusUnauthorized},
	} {
		if got := s.send(t.Context(), x.endpoint, "evt_1-0", x.at, body); got.Status != x.want {
			t.Errorf("%s: %+v, want %d", what, got, x.want)
		}
	}
	h := http.Header{}
	if err := sign(h, right.Secrets, "evt_1-0", now, body); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(http.Header) string{
		"another body": func(http.Header) string { return strings.Replace(string(body), "sale", "sold", 1) },
		"another ID":   func(h http.Header) string { h.Set(headerID, "evt_2-0"); return string(body) },
		"no signature": func(h http.Header) string { h.Del(headerSignature); return string(body) },
	} {
		changed := h.Clone()
		text := change(changed)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = changed
		res, err := s.private.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", what, res.StatusCode)
		}
	}
}
