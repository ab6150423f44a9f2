package textconnect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

func TestKind_ReportsEveryMistake(t *testing.T) {
	t.Parallel()
	options := func(pairs ...string) providers.Settings {
		s := providers.Settings{Secrets: map[string]providers.Secret{"token": token}, Options: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			s.Options[pairs[i]] = pairs[i+1]
		}
		return s
	}
	bad := options("validity_period", "0", "source_ton", "2")
	bad.Secrets, bad.MaxRecipients, bad.BaseURL = nil, 201, "http://goto.text-connect.co.uk"
	for name, tc := range map[string]struct {
		settings providers.Settings
		want     []string
	}{
		"nothing":              {providers.Settings{}, []string{"token"}},
		"good":                 {options(), nil},
		"options":              {options("validity_period", "1", "source_ton", "5"), nil},
		"options at the other": {options("validity_period", "86400", "source_ton", "1"), nil},
		"a day and a second":   {options("validity_period", "86401"), []string{"validity_period"}},
		"validity in words":    {options("validity_period", "24h"), []string{"validity_period"}},
		"type in words":        {options("source_ton", "alphanumeric"), []string{"source_ton"}},
		"type zero":            {options("source_ton", "0"), []string{"source_ton"}},
		"another option":       {options("callback_url", "x"), []string{"callback_url"}},
		"everything":           {bad, []string{"validity_period", "token", "max_recipients", "base_url", "source_ton"}},
	} {
		p, err := Kind().Open(tc.settings)
		var got []string
		for m := range providers.Mistakes(err) {
			got = append(got, m.Field)
		}
		slices.Sort(got)
		slices.Sort(tc.want)
		if !slices.Equal(got, tc.want) || (p == nil) != (tc.want != nil) {
			t.Errorf("%s: got mistakes in %v, want %v", name, got, tc.want)
		}
	}
	p, err := Kind().Open(options("validity_period", "60", "source_ton", "1"))
	if err != nil || p.(*Provider).defaults != (SendOptions{ValidityPeriod: time.Minute, SourceTON: 1}) {
		t.Errorf("got the provider %+v and the error %v, want the defaults of the settings", p, err)
	}
}

func TestNew_OptionsOutOfRangeAreRefused(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Token: token, ValidityPeriod: 1500 * time.Millisecond, SourceTON: 3})
	var got []string
	for m := range providers.Mistakes(err) {
		got = append(got, m.Field)
	}
	if !slices.Equal(got, []string{"validity_period", "source_ton"}) {
		t.Errorf("got mistakes in %v, want them in validity_period and source_ton", got)
	}
}

func TestLondon_MissingTimeZoneIsAnError(t *testing.T) {
	t.Parallel()
	missing := errors.New("no such zone")
	zone, err := london(func(name string) (*time.Location, error) {
		if name != "Europe/London" {
			t.Errorf("got the time zone %s, want Europe/London", name)
		}
		return nil, missing
	})
	if zone != nil || !errors.Is(err, missing) {
		t.Errorf("a missing time zone: got %v and the error %v, want only an error", zone, err)
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	got := open(t, Config{}).Info()
	want := providers.Info{
		Name: "textconnect", Fingerprint: got.Fingerprint, MaxRecipients: 200, MaxChars: 459, MaxSegments: 3, SenderAlphaMax: 11,
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Fingerprint == "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := open(t, Config{Endpoint: providers.Endpoint{MaxRecipients: 20}}).Info().MaxRecipients; n != 20 {
		t.Errorf("max_recipients 20: got MaxRecipients %d, want 20", n)
	}
	if open(t, Config{Endpoint: providers.Endpoint{BaseURL: "https://example.com"}}).Info().Fingerprint == got.Fingerprint {
		t.Error("another base URL: got the same fingerprint, want a different one")
	}
}

func TestProvider_NeverPrintsItsLogin(t *testing.T) {
	t.Parallel()
	cfg := Config{Token: token}
	p := open(t, cfg)
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(verb, *p) + fmt.Sprintf(verb, cfg) + fmt.Sprintf(verb, User{Password: "s3cr3t"}); strings.Contains(text, "s3cr3t") {
			t.Errorf("%s: the printed text holds a secret, want it masked: %s", verb, text)
		}
	}
}
