package httpclient

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

func TestEndpoint_Opens(t *testing.T) {
	t.Parallel()
	const base = "https://gateway.example/api"
	for name, tc := range map[string]struct {
		endpoint providers.Endpoint
		limit    int
		wantBase string
		want     int // recipients
	}{
		"nothing given":        {providers.Endpoint{}, 200, base, 200},
		"another base URL":     {providers.Endpoint{BaseURL: "https://other.example/"}, 200, "https://other.example", 200},
		"a lower limit":        {providers.Endpoint{MaxRecipients: 20}, 200, base, 20},
		"the limit itself":     {providers.Endpoint{MaxRecipients: 200}, 200, base, 200},
		"one":                  {providers.Endpoint{MaxRecipients: 1}, 1, base, 1},
		"http to this machine": {providers.Endpoint{BaseURL: "http://127.0.0.1:8025"}, 1, "http://127.0.0.1:8025", 1},
		"http that is allowed": {providers.Endpoint{BaseURL: "http://gateway.example", AllowHTTP: true}, 1, "http://gateway.example", 1},
	} {
		client, limit, err := Open(tc.endpoint, base, tc.limit)
		if err != nil {
			t.Errorf("%s: got the error %v, want none", name, err)
			continue
		}
		if got := client.base.String(); got != tc.wantBase || limit != tc.want {
			t.Errorf("%s: got the base URL %s and %d recipients, want those of the case", name, got, limit)
		}
	}
}

func TestEndpoint_PassesItsSettingsOn(t *testing.T) {
	t.Parallel()
	client, _, err := Open(providers.Endpoint{Timeout: 7 * time.Second, Concurrency: 3}, "https://gateway.example", 1, hunter, "other secret")
	if err != nil {
		t.Fatal(err)
	}
	if client.timeout != 7*time.Second || client.transport.MaxIdleConnsPerHost != 3 {
		t.Errorf("got the timeout %v and %d connections, want 7s and 3", client.timeout, client.transport.MaxIdleConnsPerHost)
	}
	if text := client.Scrub("the reply has " + hunter + " and other secret"); strings.Contains(text, hunter) || strings.Contains(text, "other") {
		t.Errorf("got the text %s, want no secret in it", text)
	}
	client, _, err = Open(providers.Endpoint{}, "https://gateway.example", 1)
	if err != nil || client.timeout != DefaultTimeout || client.transport.MaxIdleConnsPerHost != DefaultConcurrency {
		t.Errorf("an empty Endpoint: got the error %v or other values, want no error and the defaults", err)
	}
}

func TestEndpoint_ReportsEveryMistake(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		endpoint providers.Endpoint
		limit    int
		want     []string
		says     string
	}{
		"limit raised":       {providers.Endpoint{MaxRecipients: 201}, 200, []string{"max_recipients"}, "must be 1 to 200"},
		"limit negative":     {providers.Endpoint{MaxRecipients: -1}, 200, []string{"max_recipients"}, "but not raise it"},
		"more than one":      {providers.Endpoint{MaxRecipients: 2}, 1, []string{"max_recipients"}, "carries one number"},
		"plain http":         {providers.Endpoint{BaseURL: "http://gateway.example"}, 1, []string{"base_url"}, "allow_http"},
		"a login in the URL": {providers.Endpoint{BaseURL: "https://joe:hunter2@gateway.example"}, 1, []string{"base_url"}, "login"},
		"negative timeout":   {providers.Endpoint{Timeout: -1}, 1, []string{"timeout"}, "negative"},
		"everything":         {providers.Endpoint{BaseURL: "ftp://x", Timeout: -1, MaxRecipients: 5, Concurrency: -1}, 4, []string{"max_recipients", "base_url", "timeout", "concurrency"}, "must be 1 to 4"},
	} {
		client, limit, err := Open(tc.endpoint, "https://gateway.example", tc.limit)
		if client != nil || limit != 0 {
			t.Errorf("%s: got a client in spite of mistakes, want none", name)
		}
		if got := fields(err); !slices.Equal(got, tc.want) || !strings.Contains(fmt.Sprint(err), tc.says) || strings.Contains(fmt.Sprint(err), "hunter") {
			t.Errorf("%s: got the error %v, want mistakes in the fields of the case, without a secret", name, err)
		}
	}
	if _, _, err := Open(providers.Endpoint{}, "", 1); !slices.Equal(fields(err), []string{"base_url"}) {
		t.Errorf("a provider without a base URL: got %v, want a mistake in base_url", err)
	}
}
