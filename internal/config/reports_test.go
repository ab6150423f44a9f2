package config

import (
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/worker"
)

func TestReports_DefaultNeedsADoor(t *testing.T) {
	t.Parallel()
	const at = "accounts:\n  a:\n    provider: africastalking\n    username: u\n    api_key: k\n"
	const kobo = "accounts:\n  a:\n    provider: kobo\n    user: u\n    pass: p\n"
	for text, want := range map[string]time.Duration{
		at:                                       0,
		at + "    callback_secret: secret-123\n": worker.DefaultReportFor,
		at + "    callback_secret: ${NOT_SET}\n": worker.DefaultReportFor,
		at + "    reports: all\n":                worker.DefaultReportFor,
		at + "    reports: all\n    report_for: 24h\n":                                     24 * time.Hour,
		at + "    callback_secret: secret-123\n    reports: off\n":                         0,
		kobo + "    callback_secret: secret-123\n":                                         0,
		kobo + "    reports: off\n":                                                        0,
		at + "    callback_secret: secret-123\n    report_for: 1m\n    reconcile_for: 0\n": time.Minute,
	} {
		c, err := parseKinds(catalog.Kinds(), "t.yaml", []byte(text), environment())
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := c.Accounts[0].Card().ReportFor; got != want {
			t.Errorf("%s: reports are waited for %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]string{
		kobo + "    reports: all\n":       "t.yaml:6: accounts.a.reports: this release does not collect delivery reports of provider kobo; use off",
		at + "    reports: sample:1000\n": "t.yaml:6: accounts.a.reports: \"sample:1000\": this release has no samples, which are for gateways without callbacks; use all or off",
		at + "    reports: some\n":        "must be all or off",
		at + "    report_for: 9d\n":       "must be from 1m0s to 168h0m0s",
	} {
		if _, err := parseKinds(catalog.Kinds(), "t.yaml", []byte(text), environment()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
