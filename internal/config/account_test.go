package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
)

type madeUp struct{}

func (madeUp) Info() providers.Info { return providers.Info{Name: "madeup", MaxRecipients: 1} }

func (madeUp) Send(context.Context, providers.Batch) ([]providers.Result, error) { return nil, nil }

// madeUpKinds returns the kinds of the catalog and a further kind with the name "madeup". This
// kind has login fields that no gateway of the catalog has. Its constructor stores the settings
// in the parameter "opened".
func madeUpKinds(opened *providers.Settings) []providers.Kind {
	return append(catalog.Kinds(), providers.Kind{
		Name: "madeup", Optional: []string{"region"},
		Required: []providers.Field{{Name: "client_id"}, {Name: "account_sid"}, {Name: "client_secret", Secret: true}},
		New: func(s providers.Settings) (providers.Provider, error) {
			*opened = s
			var missing []error
			for _, field := range []string{"client_id", "account_sid"} {
				missing = append(missing, providers.Missing(field, s.Login[field]))
			}
			missing = append(missing, providers.Missing("client_secret", s.Secrets["client_secret"].Reveal()))
			return madeUp{}, errors.Join(missing...)
		},
	})
}

func TestConfig_NewGatewayNeedsOnlyItsKind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var opened providers.Settings
	c, err := parseKinds(madeUpKinds(&opened), filepath.Join(dir, "t.yaml"), []byte(`accounts:
  new:
    provider: madeup
    client_id: ${ID}
    account_sid: 007
    client_secret_file: secret
    region: east
    rate: 5/s
`), environment("ID", "acme"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Accounts[0].Ready(); err != nil || c.Accounts[0].Worker.Provider == nil || c.Accounts[0].Info.Name != "madeup" || c.Accounts[0].Worker.Rate != 5 {
		t.Errorf("account %+v, error %v; want a ready account of provider madeup at 5/s", c.Accounts[0], err)
	}
	want := providers.Settings{
		Login:   map[string]string{"client_id": "acme", "account_sid": "007"},
		Secrets: map[string]providers.Secret{"client_secret": "from a file"},
		Options: map[string]string{"region": "east"},
	}
	if diff := cmp.Diff(want, opened); diff != "" {
		t.Error(diff)
	}
	if shown := fmt.Sprintf("%v %+v %#v", opened, opened, c.Accounts[0]); strings.Contains(shown, "from a file") {
		t.Errorf("the secret is printed: %s", shown)
	}
}

func TestConfig_MistakesInTheLoginOfANewGateway(t *testing.T) {
	t.Parallel()
	const account = "accounts:\n  new:\n    provider: madeup\n    client_id: u\n    account_sid: s\n    client_secret: p\n"
	for name, tt := range map[string]struct{ yaml, want string }{
		"misspelt":                 {account + "    regoin: x\n", "t.yaml:7: accounts.new.regoin: unknown key; did you mean region?"},
		"another provider's field": {account + "    username: x\n", "t.yaml:7: accounts.new.username: unknown key; known keys: account_sid, account_sid_file, allow_http, base_url, burst, callback_secret, callback_secret_file, client_id, client_id_file, client_secret, client_secret_file, concurrency, "},
		"its field at kobo":        {koboAccount + "    client_id: x\n", "t.yaml:6: accounts.k.client_id: unknown key; known keys: allow_http, "},
		"no file":                  {account + "    region_file: x\n", "t.yaml:7: accounts.new.region_file: unknown key; known keys: account_sid"},
		"given twice":              {account + "    client_id_file: x\n", "t.yaml:7: accounts.new.client_id_file: is already set in line 4; remove one of the two settings"},
		"a list":                   {strings.Replace(account, ": p", ": [p]", 1), "t.yaml:6: accounts.new.client_secret: must be a single value; put it in quotes if it begins with a special character"},
		"no provider":              {"accounts:\n  new:\n    client_id: u\n    user: u\n", "t.yaml:2: accounts.new.provider: is missing; providers: kobo, textconnect, africastalking, qserve, connectmedia, madeup"},
	} {
		var opened providers.Settings
		_, err := parseKinds(madeUpKinds(&opened), "t.yaml", []byte(tt.yaml), environment())
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: got\n%v\nwant one line that begins with\n%s", name, err, tt.want)
		}
	}
}

func TestConfig_MissingLoginFailsOnlyItsAccount(t *testing.T) {
	t.Parallel()
	var opened providers.Settings
	c, err := parseKinds(madeUpKinds(&opened), "t.yaml", []byte(`accounts:
  new:
    provider: madeup
    client_id: ${NOT_SET}
    client_secret: ""
    region: east
  k: {provider: kobo, user: u, pass: p}
`), environment())
	if err != nil {
		t.Fatal(err)
	}
	want := "t.yaml:4: accounts.new.client_id: environment variable NOT_SET is not set\n" +
		"t.yaml:5: accounts.new.client_secret: has no value\n" +
		"t.yaml:2: accounts.new: account_sid is missing; provider madeup needs account_sid or account_sid_file"
	if err := c.Accounts[0].Ready(); err == nil || err.Error() != want || c.Accounts[0].Worker.Provider != nil {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if err := c.Accounts[1].Ready(); err != nil || c.Accounts[1].Worker.Provider == nil {
		t.Errorf("Ready of the account that lacks nothing: error %v; want none and a provider", err)
	}
}

// An account of a provider with two ways to log in must set the login fields of exactly one way.
func TestConfig_SecondWayToLogIn(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]string{
		"{provider: connectmedia, api_key: k}":                           "",
		"{provider: connectmedia, username: u, password: p}":             "",
		"{provider: connectmedia, username: u}":                          "t.yaml:2: accounts.c: password is missing; provider connectmedia needs password or password_file",
		"{provider: connectmedia, api_key: '${CM_KEY}'}":                 "t.yaml:2: accounts.c.api_key: environment variable CM_KEY is not set",
		"{provider: connectmedia, username: u, password: p, api_key: k}": "t.yaml:2: accounts.c.api_key: keep only one login: either api_key, or username and password",
		"{provider: connectmedia}": "t.yaml:2: accounts.c: username is missing; provider connectmedia needs username or username_file; or set api_key instead of username and password\n" +
			"t.yaml:2: accounts.c: password is missing; provider connectmedia needs password or password_file; or set api_key instead of username and password",
	} {
		c, err := parseKinds(catalog.Kinds(), "t.yaml", []byte("accounts:\n  c: "+yaml+"\n"), environment())
		if err == nil {
			err = c.Accounts[0].Ready()
		}
		if got := fmt.Sprint(err); got != want && (err != nil || want != "") {
			t.Errorf("%s: got\n%s\nwant\n%s", yaml, got, want)
		}
	}
}

// A login field must not have the name of a key that every account may have, because the login
// field would replace that key.
func TestConfig_GatewayFieldsDifferFromCommonKeys(t *testing.T) {
	t.Parallel()
	common := (&reader{}).tumaKeys(nil, nil)
	for _, kind := range catalog.Kinds() {
		names := slices.Clone(kind.Optional)
		for _, field := range kind.LoginFields() {
			names = append(names, field.Name, field.Name+"_file")
		}
		for _, name := range names {
			if common[name] != nil {
				t.Errorf("%s: %s is a key of every account", kind.Name, name)
			}
		}
	}
}
