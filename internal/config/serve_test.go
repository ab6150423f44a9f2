package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tuma-sms/tuma/providers"
)

func TestConfig_Serve(t *testing.T) {
	t.Parallel()
	c, err := Parse("t.yaml", []byte("serve:\n  public_url: https://sms.example.org/tuma/\n  trusted_proxies: [10.1.2.3/8, 192.0.2.7, 'fd00::/8']\n"), environment())
	if err != nil {
		t.Fatal(err)
	}
	if c.Serve.PublicURL != "https://sms.example.org/tuma" {
		t.Errorf("public_url is %q; want it without the last slash", c.Serve.PublicURL)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("fd00::/8")}
	if !slices.Equal(c.Serve.TrustedProxies, want) {
		t.Errorf("trusted_proxies are %v; want %v", c.Serve.TrustedProxies, want)
	}
}

func TestConfig_CallbackSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"old": "old-secret-1\n", "new": "new-secret-2\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		yaml  string
		want  []providers.Secret
		ready bool
	}{
		"none":           {"", nil, true},
		"one":            {"    callback_secret: one-secret\n", []providers.Secret{"one-secret"}, true},
		"variable":       {"    callback_secret: ${AT_CALLBACK}\n", []providers.Secret{"from-environment"}, true},
		"unset variable": {"    callback_secret: ${NOT_SET}\n", nil, false},
		"two":            {"    callback_secret: [new-secret, old-secret]\n", []providers.Secret{"new-secret", "old-secret"}, true},
		"file":           {"    callback_secret_file: old\n", []providers.Secret{"old-secret-1"}, true},
		"two files":      {"    callback_secret_file: [new, old]\n", []providers.Secret{"new-secret-2", "old-secret-1"}, true},
		"missing file":   {"    callback_secret_file: lost\n", nil, false},
		"empty":          {"    callback_secret: \"\"\n", nil, false},
	} {
		c, err := Parse(filepath.Join(dir, "t.yaml"), []byte(koboAccount+tt.yaml), environment("AT_CALLBACK", "from-environment"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		acc := c.Account("k")
		if !slices.Equal(acc.CallbackSecrets, tt.want) || (acc.Ready() == nil) != tt.ready || acc.HasCallbackKey != (tt.yaml != "") {
			t.Errorf("%s: %d secrets, key %v, ready %v; want %d secrets, ready %v", name, len(acc.CallbackSecrets), acc.HasCallbackKey, acc.Ready(), len(tt.want), tt.ready)
		}
	}
}
