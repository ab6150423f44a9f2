package main

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/config"
)

func TestCheck_DeliveryReportsOfEachAccount(t *testing.T) {
	t.Parallel()
	const file = `redis: {url: "redis://localhost:6379/0"}
serve: {public_url: "https://sms.example.org"}
accounts:
  at: {provider: africastalking, username: sandbox, api_key: k, callback_secret: a-secret-of-sixteen-characters, report_for: 24h}
  at-plain: {provider: africastalking, username: sandbox, api_key: k}
  at-off: {provider: africastalking, username: sandbox, api_key: k, callback_secret: b-secret-of-sixteen-characters, reports: off}
  kobo: {provider: kobo, user: demo, pass: p}
  kobo-off: {provider: kobo, user: off, pass: p, reports: off}
  kobo-url: {provider: kobo, user: url, pass: p, callback_secret: c-secret-of-sixteen-characters, callback_url: true}
  kobo-all: {provider: kobo, user: all, pass: p, reports: all, report_rate: 30/m}
  tc: {provider: textconnect, token: t}
  cm: {provider: connectmedia, username: u, password: p}
  q: {provider: qserve, username: u, api_key: k}
`
	cfg, err := config.Parse("tuma.yaml", []byte(file), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	checkReports(cfg.Accounts, func(format string, args ...any) { fmt.Fprintf(&got, format+"\n", args...) })
	want := map[string]string{
		"at:":       "ok  at: by callback, for up to 24h00m",
		"at-plain:": "-   at-plain: reports are off; callback_secret turns them on",
		"at-off:":   "-   at-off: no reports, because the account has \"reports: off\"",
		"kobo:":     "ok  kobo: sample:1000 polled (max 5/s) for up to 3d00h",
		"kobo-off:": "-   kobo-off: no reports, because the account has \"reports: off\"",
		"kobo-url:": "ok  kobo-url: by callback, else polled (max 5/s) for up to 3d00h",
		"kobo-all:": "ok  kobo-all: all messages polled (max 30/m) for up to 3d00h",
		"tc:":       "ok  tc: all messages polled (max 5/s) for up to 3d00h",
		"cm:":       "-   cm: connectmedia cannot report delivery",
		"q:":        "-   q: qserve cannot report delivery",
	}
	lines := strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n")
	if len(lines) != len(want) {
		t.Errorf("got %d lines, want one for each of the %d accounts", len(lines), len(want))
	}
	for name, line := range want {
		if !strings.Contains(got.String(), "reports        "+line+"\n") {
			t.Errorf("%s got\n%s\nwant the line %q", name, got.String(), line)
		}
	}
	for _, line := range lines {
		if utf8.RuneCountInString(line) > 80 {
			t.Errorf("the line %q is wider than 80 columns", line)
		}
	}
}
