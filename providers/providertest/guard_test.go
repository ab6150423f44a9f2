package providertest

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo"
)

const asChild = "TUMA_TEST_DIALS_OUT"

// TestGuard_ChildDialsOut runs only in the process that TestGuard_FailsATestBinaryThatDialsOut
// starts. In that process the guard refuses every call. TestGuard_ChildDialsOut expects the
// refusals and passes, but the whole process must fail.
func TestGuard_ChildDialsOut(t *testing.T) {
	t.Parallel()
	if os.Getenv(asChild) == "" {
		return
	}
	for _, base := range []string{"https://gateway.invalid", "http://192.0.2.1:8080", "http://[2001:db8::1]:8080"} { // reserved by RFC 2606, 5737 and 3849
		p, err := kobo.New(kobo.Config{Endpoint: providers.Endpoint{BaseURL: base, AllowHTTP: true}, User: user, Pass: secret})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Send(t.Context(), batch(nil))
		if err == nil || strings.Contains(err.Error(), "guard") {
			t.Errorf("%s: a batch without recipients: got %v, want an error before any dial", base, err)
		}
		for range 2 {
			_, err = p.Balance(t.Context())
			e, ok := err.(*providers.Error)
			if !ok || e.Outcome != providers.Retryable || e.Scope != providers.Account || !strings.Contains(e.Error(), "refused by the network guard") {
				t.Errorf("%s: got the error %v, want retryable and a refusal by the guard", base, err)
			}
		}
	}
}

// TestGuard_ChildGetsFromOutside is like TestGuard_ChildDialsOut, but for http.DefaultClient instead
// of a provider. It also runs only in the process that TestGuard_FailsATestBinaryThatDialsOut starts.
func TestGuard_ChildGetsFromOutside(t *testing.T) {
	t.Parallel()
	if os.Getenv(asChild) == "" {
		return
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://198.51.100.1:81/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil || !strings.Contains(err.Error(), "refused by the network guard") {
		if err == nil {
			_ = resp.Body.Close()
		}
		t.Errorf("got the error %v, want a refusal by the guard", err)
	}
}

func TestGuard_FailsATestBinaryThatDialsOut(t *testing.T) {
	t.Parallel()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^(TestGuard_ChildDialsOut|TestGuard_ChildGetsFromOutside)$", "-test.v")
	child.Env = append(os.Environ(), asChild+"=1", "HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "GORACE=atexit_sleep_ms=0")
	out, err := child.CombinedOutput()
	if err == nil || child.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "--- PASS: TestGuard_ChildDialsOut") {
		t.Errorf("got %v, want a process that fails although its tests pass:\n%s", err, out)
	}
	for _, addr := range []string{"gateway.invalid:443", "192.0.2.1:8080", "[2001:db8::1]:8080", "198.51.100.1:81"} {
		line := "FAIL: github.com/tuma-sms/tuma/providers/providertest: the tests tried to connect to " + addr + ";"
		if strings.Count(string(out), line) != 1 {
			t.Errorf("want the line %q exactly once in\n%s", line, out)
		}
	}
}

func TestGuard_AllowsOnlyThisMachine(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"127.0.0.1:80": true, "127.9.9.9:80": true, "[::1]:80": true, "localhost:80": true, "LocalHost:80": true, "[::ffff:127.0.0.1]:80": true,
		"localhost.example.com:80": false, "10.0.0.1:80": false, "0.0.0.0:80": false, "[::]:80": false, "[fe80::1%lo]:80": false,
		"example.com:443": false, ":80": false, "": false, "127.0.0.1": false, "127.1:80": false,
	} {
		if got := onThisMachine(addr); got != want {
			t.Errorf("%q: got %v, want %v", addr, got, want)
		}
	}
}
