package config

import (
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/worker"
)

func TestReports_DefaultOfEachGateway(t *testing.T) {
	t.Parallel()
	const at = "accounts:\n  a:\n    provider: africastalking\n    username: u\n    api_key: k\n"
	const qs = "accounts:\n  a:\n    provider: qserve\n    username: u\n    api_key: k\n"
	const cm = "accounts:\n  a:\n    provider: connectmedia\n    username: u\n    password: k\n"
	const kobo = "accounts:\n  a:\n    provider: kobo\n    user: u\n    pass: p\n"
	const tc = "accounts:\n  a:\n    provider: textconnect\n    token: t\n"
	for text, want := range map[string]time.Duration{
		kobo:                                     worker.DefaultReportFor,
		tc:                                       worker.DefaultReportFor,
		tc + "    reports: off\n":                0,
		at:                                       0,
		at + "    callback_secret: secret-123\n": worker.DefaultReportFor,
		at + "    callback_secret: ${NOT_SET}\n": worker.DefaultReportFor,
		at + "    reports: all\n":                worker.DefaultReportFor,
		at + "    reports: all\n    report_for: 24h\n":                                     24 * time.Hour,
		at + "    callback_secret: secret-123\n    reports: off\n":                         0,
		kobo + "    callback_secret: secret-123\n":                                         worker.DefaultReportFor,
		kobo + "    reports: all\n    report_rate: 30/m\n":                                 worker.DefaultReportFor,
		kobo + "    reports: sample:500\n":                                                 worker.DefaultReportFor,
		kobo + "    reports: all\n    report_for: 24h\n":                                   24 * time.Hour,
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
	for text, want := range map[string]int{kobo: 1000, tc: 0, kobo + "    reports: all\n": 0, kobo + "    reports: sample:500\n": 500} {
		c, err := parseKinds(catalog.Kinds(), "t.yaml", []byte(text), environment())
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := c.Accounts[0].Card().ReportSample; got != want {
			t.Errorf("%s: got a sample of %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]string{
		qs + "    reports: all\n":          "t.yaml:6: accounts.a.reports: provider qserve has no delivery reports that Tuma can match; write \"off\"",
		cm + "    reports: all\n":          "t.yaml:6: accounts.a.reports: provider connectmedia has no delivery reports that Tuma can match; write \"off\"",
		kobo + "    report_rate: 0\n":      "t.yaml:6: accounts.a.report_rate: \"0\" must be a rate from 1/m to 1000/s; to ask for no delivery reports, set reports: off",
		kobo + "    report_rate: 1001/s\n": "must be a rate from 1/m to 1000/s",
		kobo + "    report_rate: fast\n":   "\"fast\" must be a rate such as 50/s or 600/m",
		at + "    reports: sample:1000\n":  "t.yaml:6: accounts.a.reports: Tuma takes samples only from gateways that it asks for reports, and it does not ask africastalking; write \"all\" or \"off\"",
		kobo + "    reports: sample:0\n":   "t.yaml:6: accounts.a.reports: \"sample:0\" must be \"sample:\" followed by a number from 1 to 1000000",
		at + "    reports: some\n":         "must be all, off or sample:1000",
		at + "    report_for: 9d\n":        "must be from 1m0s to 168h0m0s",
	} {
		if _, err := parseKinds(catalog.Kinds(), "t.yaml", []byte(text), environment()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
