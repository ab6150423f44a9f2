package kobo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

func TestNew_ReportsEveryMistake(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  Config
		want []string
	}{
		"nothing":        {Config{}, []string{"user", "pass"}},
		"good":           {Config{User: "u", Pass: "p"}, nil},
		"limit lowered":  {Config{Endpoint: providers.Endpoint{MaxRecipients: 1}, User: "u", Pass: "p"}, nil},
		"limit raised":   {Config{Endpoint: providers.Endpoint{MaxRecipients: 501}, User: "u", Pass: "p"}, []string{"max_recipients"}},
		"everything":     {Config{Endpoint: providers.Endpoint{BaseURL: "http://kobomobile.net", MaxRecipients: -1, Timeout: -1, Concurrency: -1}}, []string{"user", "pass", "max_recipients", "base_url", "timeout", "concurrency"}},
		"http asked for": {Config{Endpoint: providers.Endpoint{BaseURL: "http://kobomobile.net", AllowHTTP: true}, User: "u", Pass: "p"}, nil},
	} {
		p, err := New(tc.cfg)
		var got []string
		for m := range providers.Mistakes(err) {
			got = append(got, m.Field)
		}
		if !slices.Equal(got, tc.want) || (p == nil) != (tc.want != nil) {
			t.Errorf("%s: got mistakes in %v, want %v", name, got, tc.want)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	info := func(c Config) providers.Info {
		p, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return p.Info()
	}
	got := info(Config{User: "u", Pass: "p"})
	want := providers.Info{
		Name: "kobo", Fingerprint: got.Fingerprint, MaxRecipients: 500, KeyTTL: 720 * time.Hour,
		MaxChars: 905, SenderAlphaMax: 11, SenderDigitsMax: 16, Flash: true, FlashGSM7: true, NamesCallback: true,
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Fingerprint == "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := info(Config{Endpoint: providers.Endpoint{MaxRecipients: 20}, User: "u", Pass: "p"}).MaxRecipients; n != 20 {
		t.Errorf("max_recipients 20: got MaxRecipients %d, want 20", n)
	}
	if info(Config{Endpoint: providers.Endpoint{BaseURL: DefaultBaseURL + "/"}, User: "u", Pass: "other"}).Fingerprint != got.Fingerprint {
		t.Error("two accounts that differ only in their password have different fingerprints, want the same fingerprint")
	}
	if info(Config{User: "u2", Pass: "p"}).Fingerprint == got.Fingerprint {
		t.Error("two accounts that differ only in their user have the same fingerprint, want different fingerprints")
	}
}

func TestProvider_NeverPrintsItsLogin(t *testing.T) {
	t.Parallel()
	cfg := Config{User: "u", Pass: password}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(verb, *p) + fmt.Sprintf(verb, cfg); strings.Contains(text, "s3cr3t") {
			t.Errorf("%s: the printed text holds the password, want it masked: %s", verb, text)
		}
	}
}
