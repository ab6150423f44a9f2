package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/worker"
)

func TestCallbackURL_OfEachCall(t *testing.T) {
	t.Parallel()
	const kobo = "accounts:\n  k:\n    provider: kobo\n    user: u\n    pass: p\n"
	const secret, serve = "    callback_secret: [secret-123, secret-456]\n", "serve: {public_url: https://sms.example.org/tuma/}\n"
	c, err := parseKinds(catalog.Kinds(), "t.yaml", []byte(kobo+secret+"    callback_url: true\n"+serve), environment())
	if err != nil {
		t.Fatal(err)
	}
	acc := c.Accounts[0]
	if got := acc.Worker.CallbackURL.Reveal(); got != "https://sms.example.org/tuma/callbacks/k/secret-123/delivery/" || acc.Worker.Reports != worker.ReportsAll {
		t.Errorf("got the URL %s, with reports: %s; want the first secret in it, and all reports", got, acc.Worker.Reports)
	}
	if text := fmt.Sprintf("%v %+v", acc, acc.Worker); strings.Contains(text, "secret-123") {
		t.Errorf("%s has the secret", text)
	}
	for text, want := range map[string]string{
		kobo + secret + "    callback_url: true\n":                                                                                      "t.yaml:7: accounts.k.callback_url: needs serve.public_url",
		kobo + "    callback_url: true\n" + serve:                                                                                       "t.yaml:6: accounts.k.callback_url: needs a callback_secret",
		kobo + secret + "    callback_url: true\nserve: {public_url: http://sms.example.org}\n":                                         "needs an https address as serve.public_url",
		kobo + secret + "    reports: off\n    callback_url: true\n" + serve:                                                            `remove the line "reports: off"`,
		strings.Replace(kobo, "kobo\n    user: u\n    pass", "textconnect\n    token", 1) + secret + "    callback_url: true\n" + serve: "callback_url: unknown key",
		kobo + "    callback_url: maybe\n":                                                                                              "callback_url",
	} {
		if _, err := parseKinds(catalog.Kinds(), "t.yaml", []byte(text), environment()); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret-123") {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	for text, safe := range map[string]bool{"https://a.example": true, "http://127.0.0.1:8090": true, "http://[::1]": true, "http://localhost:1": true, "http://10.0.0.1": false, "http://a.example": false} {
		if isSafe(text) != safe {
			t.Errorf("isSafe(%q) is %t", text, !safe)
		}
	}
	c, err = parseKinds(catalog.Kinds(), "t.yaml", []byte(kobo+secret+"    callback_url: false\n"), environment())
	if err != nil || c.Accounts[0].Worker.CallbackURL != "" {
		t.Errorf("callback_url: false: got the URL %v and the error %v", c.Accounts[0].Worker.CallbackURL, err)
	}
}
