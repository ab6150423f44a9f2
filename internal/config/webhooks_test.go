package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/webhook"
)

const (
	hookSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_dHVtYS10dW1hLXR1bWEtdHVtYS10dW1hLXR1bWE="
)

func TestConfig_Webhooks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(otherSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "webhooks:\n" +
		"  crm:\n    url: https://crm.example.org/tuma?t=1\n    events: [campaign.state, optout.added]\n    secret: [\"${HOOK}\", " + otherSecret + "]\n" +
		"  local: {url: \"http://127.0.0.1:9/\", allow_private: true, secret_file: secret}\n"
	parse := func(text string, vars ...string) (*Config, error) {
		return Parse(filepath.Join(dir, "t.yaml"), []byte(text), environment(vars...))
	}
	c, err := parse(text, "HOOK", hookSecret)
	if err != nil || c.WebhooksReady() != nil {
		t.Fatal(err, c.WebhooksReady())
	}
	crm, local := c.Webhooks[0], c.Webhooks[1]
	if crm.Name != "crm" || crm.URL != "https://crm.example.org/tuma?t=1" || !slices.Equal(crm.Events, []string{"campaign.state", "optout.added"}) || crm.AllowPrivate ||
		!slices.Equal(crm.Secrets, []webhook.Secret{{Key: hookSecret}, {Key: otherSecret}}) {
		t.Errorf("crm is %+v", crm)
	}
	if !local.AllowPrivate || !slices.Equal(local.Secrets, []webhook.Secret{{Key: otherSecret}}) {
		t.Errorf("local is %+v", local)
	}
	if text := fmt.Sprintf("%v %+v %#v", c.Webhooks, c.Webhooks, c.Webhooks); strings.Contains(text, hookSecret) {
		t.Error("a secret is printed")
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(hookSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	if next, err := parse(text, "HOOK", hookSecret); err != nil || next.Digest == c.Digest {
		t.Errorf("a changed secret file: the digest stays %s, %v", c.Digest, err)
	}
	if c, err = parse(text); err != nil || c.WebhooksReady() == nil || !strings.Contains(c.WebhooksReady().Error(), "HOOK") {
		t.Errorf("without the variable: %v; want an error only from WebhooksReady", err)
	}
}

func TestConfig_WebhookMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"webhooks:\n  a: {url: \"https://x.org/\"}\n":                                                             "",
		"webhooks:\n  a: {secret: " + hookSecret + "}\n":                                                          "t.yaml:2: webhooks.a.url: must be a URL",
		"webhooks:\n  a:\n    url: http://x.org/\n    secret: " + hookSecret + "\n":                               "t.yaml:3: webhooks.a.url: must begin with https://",
		"webhooks:\n  a:\n    url: https://10.0.0.1/\n    secret: " + hookSecret + "\n":                           "t.yaml:3: webhooks.a.url: must not have a private address",
		"webhooks:\n  a b: {url: \"https://x.org/\", secret: " + hookSecret + "}\n":                               "t.yaml:2: webhooks.a b: must have 1 to 64 characters",
		"webhooks:\n  a:\n    url: https://x.org/\n    events: [campaign.stat]\n    secret: " + hookSecret + "\n": "t.yaml:4: webhooks.a.events: \"campaign.stat\" must be one of",
		"webhooks:\n  a: {url: \"https://x.org/\", secret: whsec_short}\n":                                        "t.yaml:2: webhooks.a.secret: must be whsec_",
		"webhooks:\n  a: {url: \"https://x.org/\", secret: [" + hookSecret + ", " + hookSecret + "]}\n":           "is the same secret",
		"webhooks:\n  a: {url: \"https://x.org/\", secret: []}\n":                                                 "one secret, or a list of two",
		"webhooks:\n  a: {url: \"https://x.org/\", secret: " + hookSecret + ", secret_file: x}\n":                 "is already set in line 2",
		"webhooks:\n  a: {url: \"https://x.org/\", secret: " + hookSecret + ", event: x}\n":                       "unknown key",
		"webhooks:\n  a: {url: \"https://x.org/\", secret: " + hookSecret + "}\n  a: {url: \"https://x.org/\"}\n": "is set twice",
		"webhooks:\n  a: {url: \"https://x.org/\", allow_private: perhaps, secret: " + hookSecret + "}\n":         "true or false",
	} {
		_, err := Parse("t.yaml", []byte(text), environment())
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), hookSecret)) {
			t.Errorf("%s\ngot %v, want %q", text, err, want)
		}
	}
}
