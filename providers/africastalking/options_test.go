package africastalking

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

func TestNew_ReportsEveryMistake(t *testing.T) {
	t.Parallel()
	good := func(change func(*Config)) Config {
		c := Config{Username: "u", APIKey: apiKey}
		change(&c)
		return c
	}
	for name, tc := range map[string]struct {
		cfg  Config
		want []string
	}{
		"nothing":            {Config{}, []string{"username", "api_key"}},
		"good":               {good(func(*Config) {}), nil},
		"limit lowered":      {good(func(c *Config) { c.MaxRecipients = 1 }), nil},
		"limit raised":       {good(func(c *Config) { c.MaxRecipients = 1000 }), nil},
		"limit too high":     {good(func(c *Config) { c.MaxRecipients = 1001 }), []string{"max_recipients"}},
		"http":               {good(func(c *Config) { c.BaseURL = "http://api.africastalking.com" }), []string{"base_url"}},
		"http asked for":     {good(func(c *Config) { c.BaseURL, c.AllowHTTP = "http://api.africastalking.com", true }), nil},
		"key with a newline": {good(func(c *Config) { c.APIKey = "s3cr3t\nX-Other: 1" }), []string{"api_key"}},
		"key with a space":   {good(func(c *Config) { c.APIKey = "s3cr3t " }), []string{"api_key"}},
		"format":             {good(func(c *Config) { c.Format = "yaml" }), []string{"format"}},
		"hours":              {good(func(c *Config) { c.Options.RetryDurationInHours = -1 }), []string{"retry_duration_in_hours"}},
		"too many hours":     {good(func(c *Config) { c.Options.RetryDurationInHours = 8761 }), []string{"retry_duration_in_hours"}},
		"a link":             {good(func(c *Config) { c.Options.LinkID = "l" }), []string{"link_id"}},
		"everything": {
			Config{Endpoint: providers.Endpoint{BaseURL: "x", MaxRecipients: -1, Timeout: -1, Concurrency: -1}, Format: "x", Options: Options{LinkID: "l", RetryDurationInHours: -1}},
			[]string{"username", "api_key", "format", "link_id", "retry_duration_in_hours", "max_recipients", "base_url", "timeout", "concurrency"},
		},
	} {
		p, err := New(tc.cfg)
		if got := mistakes(err); !slices.Equal(got, tc.want) || (p == nil) != (tc.want != nil) {
			t.Errorf("%s: got mistakes in %v, want %v", name, got, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: the error holds the key: %v", name, err)
		}
	}
}

// Premium messages go to the vendor's content host. There are two exceptions: an account that sets a
// base URL, and an account at the vendor's sandbox, which has only one host.
func TestNew_PremiumMessagesHaveAHostApart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg           Config
		client, other string
	}{
		"live":    {Config{Username: "u", APIKey: apiKey}, DefaultBaseURL, ContentBaseURL},
		"sandbox": {Config{Username: SandboxUsername, APIKey: apiKey}, SandboxBaseURL, SandboxBaseURL},
		"its own": {Config{Username: "u", APIKey: apiKey, Endpoint: providers.Endpoint{BaseURL: "https://proxy.example"}}, "https://proxy.example", "https://proxy.example"},
	} {
		p := open(t, tc.cfg)
		user := tc.cfg.Username
		if p.client.Fingerprint(Name, user) != fingerprintOf(t, tc.client, user) || p.premium.Fingerprint(Name, user) != fingerprintOf(t, tc.other, user) {
			t.Errorf("%s: got other hosts, want %s for the account and %s for premium messages", name, tc.client, tc.other)
		}
		if p.Info().Fingerprint != fingerprintOf(t, tc.client, user) {
			t.Errorf("%s: got another fingerprint, want that of %s", name, tc.client)
		}
	}
}

// fingerprintOf returns the fingerprint of an account with a user and a base URL. Two accounts with
// different base URLs have different fingerprints.
func fingerprintOf(t *testing.T, base, user string) string {
	t.Helper()
	c, _, err := httpclient.Open(providers.Endpoint{}, base, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c.Fingerprint(Name, user)
}

// A premium message must use the HTTP client for the content host, which is Provider.premium. A bulk
// message must use Provider.client.
func TestSend_PremiumMessagesUseTheContentHost(t *testing.T) {
	t.Parallel()
	reply := jsonReply(row("+254711000001", "102", "Success", idA))
	bulk, toBulk := answering(t, 201, "application/json", reply)
	premium, toPremium := answering(t, 201, "application/json", reply)
	bulk.premium = premium.client
	for name, tc := range map[string]struct {
		options Options
		want    chan request
	}{
		"bulk": {Options{}, toBulk}, "bulk with a keyword": {Options{Keyword: "k"}, toBulk}, "premium": {Options{BulkSMSMode: new(false)}, toPremium},
	} {
		if _, err := bulk.SendWith(t.Context(), batch(one), tc.options); err != nil {
			t.Fatal(err)
		}
		if len(tc.want) != 1 || len(toBulk)+len(toPremium) != 1 {
			t.Fatalf("%s: got %d requests at the usual host and %d at the content host, want one at the right host", name, len(toBulk), len(toPremium))
		}
		<-tc.want
	}
}

func mistakes(err error) (fields []string) {
	for m := range providers.Mistakes(err) {
		fields = append(fields, m.Field)
	}
	return fields
}

func TestKind_SettingsBecomeOptions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options  map[string]string
		want     string // the options, in the form of the request
		accept   string
		mistaken []string
	}{
		"none":     {nil, "bulkSMSMode=1&enqueue=1", "application/json", nil},
		"all":      {map[string]string{"bulk_sms_mode": "false", "enqueue": "false", "keyword": "k", "retry_duration_in_hours": "24", "format": "xml"}, "bulkSMSMode=0&enqueue=0&keyword=k&retryDurationInHours=24", "application/xml", nil},
		"on":       {map[string]string{"bulk_sms_mode": "true", "enqueue": "true", "format": "json"}, "bulkSMSMode=1&enqueue=1", "application/json", nil},
		"mistakes": {map[string]string{"bulk_sms_mode": "1", "enqueue": "no", "retry_duration_in_hours": "0", "format": "JSON"}, "", "", []string{"format", "bulk_sms_mode", "enqueue", "retry_duration_in_hours"}},
		"unknown":  {map[string]string{"link_id": "l"}, "", "", []string{"link_id"}},
	} {
		p, err := Kind().Open(providers.Settings{Login: map[string]string{"username": "u"}, Secrets: map[string]providers.Secret{"api_key": apiKey}, Options: tc.options})
		if got := mistakes(err); !slices.Equal(got, tc.mistaken) {
			t.Errorf("%s: got mistakes in %v, want %v", name, got, tc.mistaken)
		}
		if err != nil {
			continue
		}
		at := p.(*Provider)
		if form := string(sendForm("u", providers.Batch{Body: "x", To: nums(one)}, Options{}.withDefaults(at.options))); !strings.HasSuffix(form, "&message=x&"+tc.want) || at.accept != tc.accept {
			t.Errorf("%s: got the form %s and Accept %s, want the values of the case", name, form, at.accept)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	p := open(t, Config{Username: "u", APIKey: apiKey})
	got := p.Info()
	want := providers.Info{Name: "africastalking", Fingerprint: got.Fingerprint, MaxRecipients: 200, SenderAlphaMax: 11, SenderOptional: true,
		DLRNamesRecipient: true, BlacklistBySender: true}
	if diff := cmp.Diff(want, got); diff != "" || got.Fingerprint == "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	same := func(a, b Config) bool { return open(t, a).Info() == open(t, b).Info() }
	at := func(user, base string) Config {
		return Config{Endpoint: providers.Endpoint{BaseURL: base}, Username: user, APIKey: "k"}
	}
	if !same(at("u", ""), at("u", DefaultBaseURL)) || !same(at("sandbox", ""), at("sandbox", SandboxBaseURL+"/")) {
		t.Error("an empty BaseURL: got another fingerprint than for the default address, want the same")
	}
	if same(at("sandbox", ""), at("sandbox", DefaultBaseURL)) || same(at("u", ""), at("v", "")) {
		t.Error("another address or user: got the same fingerprint, want a different one")
	}
	if n := open(t, Config{Endpoint: providers.Endpoint{MaxRecipients: 20}, Username: "u", APIKey: "k"}).Info().MaxRecipients; n != 20 {
		t.Errorf("max_recipients 20: got MaxRecipients %d, want 20", n)
	}
}

func TestProvider_NeverPrintsItsLogin(t *testing.T) {
	t.Parallel()
	cfg := Config{Username: "u", APIKey: apiKey}
	p := open(t, cfg)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb, *p) + fmt.Sprintf(verb, p) + fmt.Sprintf(verb, cfg); strings.Contains(text, "s3cr3t") || strings.Contains(text, "733363723374") {
			t.Errorf("%s: the printed text holds the key, want it masked: %s", verb, text)
		}
	}
}
