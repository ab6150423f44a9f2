package connectmedia

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

func TestKind_ReportsEveryMistake(t *testing.T) {
	t.Parallel()
	good := providers.Settings{Login: map[string]string{"username": "u"}, Secrets: map[string]providers.Secret{"password": "p"}}
	with := func(change func(*providers.Settings)) providers.Settings {
		s := good
		change(&s)
		return s
	}
	option := func(name, value string) providers.Settings {
		return with(func(s *providers.Settings) { s.Options = map[string]string{name: value} })
	}
	for name, tc := range map[string]struct {
		settings providers.Settings
		want     []string
		plain    bool
	}{
		"nothing":                       {providers.Settings{}, []string{"username", "password"}, false},
		"good":                          {good, nil, false},
		"limit of one":                  {with(func(s *providers.Settings) { s.MaxRecipients = 1 }), nil, false},
		"limit raised":                  {with(func(s *providers.Settings) { s.MaxRecipients = 2 }), []string{"max_recipients"}, false},
		"http, as on the vendor's page": {with(func(s *providers.Settings) { s.BaseURL = "http://www.connectmedia.co.ke" }), []string{"base_url"}, false},
		"a key":                         {with(func(s *providers.Settings) { s.Secrets = map[string]providers.Secret{"password": "p", "api_key": "k"} }), []string{"api_key"}, false},
		"encoded":                       {option("pre_encode_message", "true"), nil, false},
		"not encoded":                   {option("pre_encode_message", "false"), nil, true},
		"perhaps encoded":               {option("pre_encode_message", "yes"), []string{"pre_encode_message"}, false},
		"multipart":                     {option("multipart", "true"), []string{"multipart"}, false},
	} {
		p, err := Kind().Open(tc.settings)
		var got []string
		for m := range providers.Mistakes(err) {
			got = append(got, m.Field)
		}
		if !slices.Equal(got, tc.want) || (p == nil) != (tc.want != nil) {
			t.Errorf("%s: got mistakes in %v, want %v", name, got, tc.want)
		}
		if c, ok := p.(*Provider); ok && c.plain != tc.plain {
			t.Errorf("%s: got plain %v, want the opposite", name, c.plain)
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
	got := info(Config{Username: "u", Password: "p"})
	want := providers.Info{
		Name: "connectmedia", Fingerprint: got.Fingerprint, MaxRecipients: 1, SenderAlphaMax: 11, SenderDigitsMax: 11, SenderOptional: true,
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Fingerprint == "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if info(Config{Username: "u", Password: "other"}) != got || info(Config{Username: "u2", Password: "p"}) == got {
		t.Error("the fingerprint depends on the password, or not on the user; want only the user to count")
	}
}

func TestProvider_NeverPrintsItsLogin(t *testing.T) {
	t.Parallel()
	cfg := Config{Username: "u", Password: password}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		if text := fmt.Sprintf(verb, *p) + fmt.Sprintf(verb, p) + fmt.Sprintf(verb, cfg); strings.Contains(text, "s3cr3t") {
			t.Errorf("%s: the printed text holds the password, want it masked: %s", verb, text)
		}
	}
}
