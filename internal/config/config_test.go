package config

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/worker"
)

func environment(pairs ...string) func(string) (string, bool) {
	env := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

const koboAccount = "accounts:\n  k:\n    provider: kobo\n    user: u\n    pass: p\n"

func TestConfig_MistakesNameTheirLine(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ yaml, want string }{
		"unknown key":               {"redis:\n  url: redis://h\nfoo: 1\n", "t.yaml:3: foo: unknown key; known keys: accounts, default_country"},
		"misspelt key":              {"\nretenton: 1d\n", "t.yaml:2: retenton: unknown key; did you mean retention?"},
		"unknown key of redis":      {"redis:\n  urls: x\n", "t.yaml:2: redis.urls: unknown key; did you mean url?"},
		"unknown key of account":    {koboAccount + "    colour: red\n", "t.yaml:6: accounts.k.colour: unknown key"},
		"other provider's field":    {koboAccount + "    api_key: x\n", "t.yaml:6: accounts.k.api_key: unknown key"},
		"key twice":                 {"retention: 1d\nretention: 2d\n", "t.yaml:2: retention: is set twice: the first time is in line 1"},
		"account twice":             {koboAccount + "  k: {}\n", "t.yaml:6: accounts.k: is set twice: the first time is in line 2"},
		"not YAML":                  {"a: b\n c: [\n", "t.yaml:2: invalid YAML"},
		"tab":                       {"redis:\n\turl: x\n", "t.yaml:2: invalid YAML"},
		"two documents":             {"retention: 1d\n---\nretention: 1d\n", "t.yaml:2: a second YAML document starts here"},
		"list for mapping":          {"redis: [a]\n", "t.yaml:1: redis: must be a mapping"},
		"mapping for value":         {"retention: {a: b}\n", "t.yaml:1: retention: must be a single value"},
		"value for list":            {"routes: all\n", "t.yaml:1: routes: must be a list"},
		"merge key":                 {"windows: &a {}\nredis:\n  <<: *a\n", "t.yaml:3: redis: only plain keys"},
		"empty value":               {"retention:\n", "t.yaml:1: retention: has no value"},
		"bad duration":              {"retention: 30\n", `t.yaml:1: retention: "30" must be a duration with its unit`},
		"negative duration":         {"failover_after: -1m\n", `t.yaml:1: failover_after: "-1m" must be a duration with its unit`},
		"duration out of range":     {"retention: 1s\n", `t.yaml:1: retention: "1s" must be from`},
		"bad bool":                  {"redis: {unsafe: yes}\n", `t.yaml:1: redis.unsafe: "yes" must be true or false`},
		"bad redis scheme":          {"redis:\n  url: http://h\n", "t.yaml:2: redis.url: must be a URL such as redis://"},
		"a bad durability":          {"redis: {durability: disk}\n", `redis.durability: "disk" must be none, fsync or replicas:N with N from 1 to 16`},
		"no replicas":               {"redis: {durability: 'replicas:0'}\n", `redis.durability: "replicas:0" must be none, fsync or replicas:N`},
		"a prefix with a brace":     {"redis: {prefix: 'a{b}'}\n", `t.yaml:1: redis.prefix: "a{b}" must consist of ASCII letters, digits and . - _ : /`},
		"a prefix with a space":     {"redis: {prefix: 'a b'}\n", `t.yaml:1: redis.prefix: "a b" must consist of ASCII letters`},
		"a prefix of Tuma's keys":   {"redis: {prefix: 'tuma:'}\n", `t.yaml:1: redis.prefix: "tuma:" must not begin with tuma: or asynq:`},
		"unset variable":            {"retention: ${NOT_SET}\n", "t.yaml:1: retention: environment variable NOT_SET is not set"},
		"variable without a name":   {"retention: ${}\n", "t.yaml:1: retention: ${} is not a variable name"},
		"unknown provider":          {"accounts:\n  k: {provider: nexmo}\n", `t.yaml:2: accounts.k.provider: unknown provider "nexmo"; providers: kobo`},
		"no provider":               {"accounts:\n  k: {user: x}\n", "t.yaml:2: accounts.k.provider: is missing; providers: kobo"},
		"value for account":         {"accounts:\n  k: 7\n", "t.yaml:2: accounts.k: must be a mapping"},
		"account's name":            {"accounts:\n  'a b': {provider: kobo, user: u, pass: p}\n", "t.yaml:2: accounts.a b: an account name must have"},
		"bad rate":                  {koboAccount + "    rate: 50/h\n", `t.yaml:6: accounts.k.rate: "50/h" must be a rate`},
		"bad burst":                 {koboAccount + "    burst: 0\n", `t.yaml:6: accounts.k.burst: "0" must be an integer from 1`},
		"bad unit":                  {koboAccount + "    unit: bits\n", `t.yaml:6: accounts.k.unit: "bits" must be messages, segments or requests`},
		"bad concurrency":           {koboAccount + "    concurrency: many\n", `t.yaml:6: accounts.k.concurrency: "many" must be an integer`},
		"bad timeout":               {koboAccount + "    timeout: 1h\n", `t.yaml:6: accounts.k.timeout: "1h" must be from 100ms to 5m0s`},
		"raised limit":              {koboAccount + "    max_recipients: 501\n", "t.yaml:6: accounts.k.max_recipients: must be 1 to 500"},
		"bad attempts":              {koboAccount + "    max_attempts: -1\n", `t.yaml:6: accounts.k.max_attempts: "-1" must be an integer`},
		"bad on_unknown":            {koboAccount + "    on_unknown: drop\n", `t.yaml:6: accounts.k.on_unknown: "drop" must be keep or resend`},
		"bad reconcile_for":         {koboAccount + "    reconcile_for: 2h\n", `t.yaml:6: accounts.k.reconcile_for: "2h" must be from 1s to 1h0m0s`},
		"bad price":                 {koboAccount + "    price: 0.80\n", `t.yaml:6: accounts.k.price: "0.80" must be a price`},
		"plain http":                {koboAccount + "    base_url: http://example.com\n", "t.yaml:6: accounts.k.base_url: plain http is refused"},
		"bad allow_http":            {koboAccount + "    allow_http: 1\n", `t.yaml:6: accounts.k.allow_http: "1" must be true or false`},
		"field and its file":        {koboAccount + "    pass_file: f\n", "t.yaml:6: accounts.k.pass_file: is already set in line 5"},
		"bad match":                 {koboAccount + "routes:\n  - {match: ke, via: [k]}\n", `t.yaml:7: routes[0].match: "ke" must be the first digits`},
		"no match":                  {koboAccount + "routes:\n  - {via: [k]}\n", `t.yaml:7: routes[0]: the key "match" is missing`},
		"no via":                    {koboAccount + "routes:\n  - {match: 254}\n", `t.yaml:7: routes[0]: the key "via" is missing`},
		"route to nowhere":          {koboAccount + "routes:\n  - {match: 254, via: [k, zz]}\n", `t.yaml:7: routes[0]: unknown account "zz"`},
		"bad country":               {"default_country: Kenya\n", `t.yaml:1: default_country: unknown country "Kenya"`},
		"bad windows":               {"windows: never\n", `t.yaml:1: windows: "never" must be off`},
		"bad window":                {"windows:\n  KE: 8-18\n", `t.yaml:2: windows.KE: "8-18" must be hours, such as "08:00-18:00"`},
		"window of no time":         {"windows: {KE: '18:00-18:00'}\n", `t.yaml:1: windows.KE: "18:00-18:00" must be hours`},
		"window that never opens":   {"windows:\n  KE: off\n  RU: '08:00-12:00'\n", `t.yaml:3: windows.RU: hours in RU: no moment is within 08:00-12:00 in all time zones of this country: set longer hours`},
		"window of no country":      {"windows: {XX: off}\n", `t.yaml:1: windows.XX: unknown country "XX"`},
		"short callback secret":     {koboAccount + "    callback_secret: abc\n", "t.yaml:6: accounts.k.callback_secret: must have 8 to 128 characters"},
		"callback secret of a path": {koboAccount + "    callback_secret: a/long/secret\n", "t.yaml:6: accounts.k.callback_secret: must consist of letters"},
		"three callback secrets":    {koboAccount + "    callback_secret: [secret-1, secret-2, secret-3]\n", "t.yaml:6: accounts.k.callback_secret: must be one secret, or a list of two"},
		"callback secret twice":     {koboAccount + "    callback_secret: [secret-1, secret-1]\n", "t.yaml:6: accounts.k.callback_secret[1]: is the same secret"},
		"callback secret and file":  {koboAccount + "    callback_secret: secret-1\n    callback_secret_file: f\n", "t.yaml:7: accounts.k.callback_secret_file: is already set in line 6"},
		"bad stop word":             {"inbound: {stop_words: [STOP, '!']}\n", `t.yaml:1: inbound.stop_words[1]: "!" must have letters or digits, and at most 64 bytes`},
		"word with two meanings":    {"inbound: {start_words: [Stop]}\n", `t.yaml:1: inbound: "Stop" is an opt-out word and an opt-in word`},
		"bad inbound.keep":          {"inbound: {keep: 1m}\n", `t.yaml:1: inbound.keep: "1m" must be from`},
		"bad inbound.poll":          {"inbound: {poll: never}\n", `t.yaml:1: inbound.poll: "never" must be a duration`},
		"bad public_url":            {"serve: {public_url: sms.example.org}\n", "t.yaml:1: serve.public_url: must be a URL without login"},
		"bad trusted proxy":         {"serve:\n  trusted_proxies: [10.0.0.0/8, proxy]\n", `t.yaml:2: serve.trusted_proxies[1]: "proxy" must be an address or a network`},
		"bad redis in environment":  {"retention: 1d\n#TUMA_REDIS_URL=nonsense", "t.yaml: TUMA_REDIS_URL: must be a URL such as"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lookup := environment()
			if _, url, ok := strings.Cut(tt.yaml, "#TUMA_REDIS_URL="); ok {
				lookup = environment("TUMA_REDIS_URL", url)
			}
			_, err := Parse("t.yaml", []byte(tt.yaml), lookup)
			if err == nil {
				t.Fatal("Parse returned no error; want one")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != 1 || !strings.HasPrefix(squeezeSpace(lines[0]), tt.want) && !strings.Contains(lines[0], tt.want) {
				t.Errorf("got\n%v\nwant one line with\n%s", err, tt.want)
			}
		})
	}
}

func squeezeSpace(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestConfig_AllMistakesInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	_, err := Parse("t.yaml", []byte(`retention: soon
accounts:
  a:
    provider: kobo
    user: ${USER_OF_A}
    rate: fast
  b: {provider: none}
windows: {KE: later}
`), environment())
	var got []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		got = append(got, strings.Join(strings.Fields(line)[:2], " "))
	}
	want := []string{"t.yaml:1: retention:", "t.yaml:3: accounts.a:", "t.yaml:5: accounts.a.user:", "t.yaml:6: accounts.a.rate:",
		"t.yaml:7: accounts.b.provider:", "t.yaml:8: windows.KE:"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%v", diff, err)
	}
}

func TestConfig_NeverPrintsASecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	tests := map[string]string{
		"anchor":             "accounts:\n  k: {provider: kobo, user: u, pass: *hunter2}\n",
		"tag":                "accounts:\n  k: {provider: kobo, user: u, pass: !hunter2 x}\n",
		"mapping":            "accounts:\n  k: {provider: kobo, user: u, pass: {hunter2: 1}}\n",
		"list":               "accounts:\n  k: {provider: kobo, user: u, pass: [hunter2]}\n",
		"bad rate beside it": koboAccount + "    rate: ${SECRET}\n",
		"base_url with it":   "accounts:\n  k: {provider: kobo, user: u, pass: hunter2, base_url: 'http://u:hunter2@example.com'}\n",
		"redis path":         "redis: {url: 'redis://:x/hunter2@h:6379/0'}\n",
		"redis escape":       "redis: {url: 'redis://:%zzhunter2@h:6379/0'}\n",
		"redis port":         "redis: {url: 'redis://:p@h:hunter2/0'}\n",
		"redis database":     "redis: {url: 'redis://h/hunter2'}\n",
		"sentinel":           "redis: {url: 'redis-sentinel://:hunter2@h/m/x'}\n",
		"cluster":            "redis: {url: 'redis-cluster://:hunter2@h/7'}\n",
		"unknown field":      "accounts:\n  k: {provider: kobo, user: u, pass: p, token: hunter2}\n",
		"wrong bool":         "redis: {unsafe: '${SECRET}'}\n",
		"duration":           "retention: ${SECRET}\n",
		"wrong country":      "default_country: ${SECRET}\n",
		"file of a secret":   koboAccount[:len(koboAccount)-len("    pass: p\n")] + "    pass_file: ${SECRET_DIR}/none\n    rate: x\n",
	}
	for name, yaml := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("t.yaml", []byte(yaml), environment("SECRET", secret, "SECRET_DIR", "/nowhere"))
			if err == nil {
				t.Fatal("Parse returned no error; want one")
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error contains the secret: %v", err)
			}
		})
	}
}

func TestConfig_MissingValueFailsOnlyItsAccount(t *testing.T) {
	t.Parallel()
	c, err := Parse("t.yaml", []byte(`accounts:
  whole: {provider: kobo, user: u, pass: p}
  partly:
    provider: kobo
    user: ${NOT_SET}
    rate: ${NOT_SET_EITHER}
  file: {provider: kobo, user: u, pass_file: not-there}
  empty: {provider: kobo, user: u, pass: }
`), environment())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"whole": "",
		"partly": "t.yaml:5: accounts.partly.user: environment variable NOT_SET is not set\n" +
			"t.yaml:6: accounts.partly.rate: environment variable NOT_SET_EITHER is not set\n" +
			"t.yaml:3: accounts.partly: pass is missing; provider kobo needs pass or pass_file",
		"file":  "t.yaml:7: accounts.file.pass_file: cannot be read: stat not-there: no such file or directory",
		"empty": "t.yaml:8: accounts.empty.pass: has no value",
	}
	got := map[string]string{}
	for _, acc := range c.Accounts {
		got[acc.Name] = ""
		if err := acc.Ready(); err != nil {
			got[acc.Name] = err.Error()
		}
		if whole := got[acc.Name] == ""; whole != (acc.Worker.Provider != nil) {
			t.Errorf("account %s: got provider %v, want one if and only if the account lacks nothing", acc.Name, acc.Worker.Provider)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// fullConfig has a value other than the default for almost every key.
const fullConfig = `
redis: {url: "redis://h:1/2", unsafe: true, durability: "replicas:2", prefix: "staging:"}
retention: 1d12h
messages: {retention: 36h, purge_body: false}
accounts:
  main:
    provider: kobo
    base_url: https://gateway.example/x
    user: "${WHO}-$${WHO}-$5"
    pass_file: pass
    rate: 600/m
    burst: 7
    unit: segments
    sender: ACME
    concurrency: 3
    timeout: 1500ms
    max_recipients: 50
    max_attempts: 2
    on_unknown: resend
    reconcile_for: 0
    price: 0.80 KES
  defaults: {provider: kobo, user: u, pass: 007}
routes:
  - {match: "254", via: [main, defaults]}
  - {match: "", via: [main]}
default_country: ke
windows: {NG: "09:30-24:00", KE: off, ug: "08:00-17:00", GH: "20:00-06:00"}
failover_after: 90s
`

func TestConfig_ReadsEveryKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pass"), []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse(filepath.Join(dir, "tuma.yaml"), []byte(fullConfig), environment("WHO", "me"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Redis.URL != "redis://h:1/2" || c.Redis.Prefix != "staging:" || !c.Redis.Unsafe || c.Retention != 36*time.Hour || c.Country != "KE" || c.FailoverAfter != 90*time.Second {
		t.Errorf("configuration %+v; want the values of fullConfig", c)
	}
	if diff := cmp.Diff([]string{"254: main defaults", ": main"}, []string{
		c.Routes[0].Match + ": " + strings.Join(c.Routes[0].Via, " "), c.Routes[1].Match + ": " + strings.Join(c.Routes[1].Via, " ")}); diff != "" {
		t.Error(diff)
	}
	if want := (Messages{Retention: 36 * time.Hour}); c.Messages != want {
		t.Errorf("messages: got %+v, want %+v", c.Messages, want)
	}
	if want := (map[string]worker.Hours{"NG": {From: 9*time.Hour + 30*time.Minute, To: 24 * time.Hour}, "UG": {From: 8 * time.Hour, To: 17 * time.Hour},
		"GH": {From: 20 * time.Hour, To: 6 * time.Hour}}); !maps.Equal(want, c.Windows) {
		t.Errorf("sending hours %v; want %v", c.Windows, want)
	}
	w := c.Accounts[0].Worker
	if w.Name != "main" || w.Rate != 10 || w.Burst != 7 || w.Unit != "segments" || w.Sender != "ACME" || w.Concurrency != 3 ||
		w.Timeout != 1500*time.Millisecond || w.MaxAttempts != 2 || w.OnUnknown != "resend" || w.ReconcileFor >= 0 || w.Price != "0.80 KES" || w.Provider.Info().MaxRecipients != 50 {
		t.Errorf("account %+v; want the values of fullConfig", w)
	}
	// A Provider does not return its login. But the fingerprint of an account depends on its user.
	// So the test compares this fingerprint with the fingerprint of an account whose user is
	// known.
	other, err := Parse("", []byte("accounts:\n  main: {provider: kobo, base_url: 'https://gateway.example/x', user: 'me-${WHO}-$5', pass: p}\n"),
		environment("WHO", "${WHO}"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := w.Provider.Info().Fingerprint, other.Accounts[0].Worker.Provider.Info().Fingerprint; got != want {
		t.Error("the user was not read as me-${WHO}-$5")
	}
}

func TestConfig_Defaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "redis:\naccounts:\nroutes:\n"} {
		c, err := Parse("t.yaml", []byte(text), environment())
		if err != nil {
			t.Fatal(err)
		}
		if c.Redis.URL != DefaultRedisURL || c.Redis.Unsafe || c.Retention != 30*24*time.Hour || c.FailoverAfter != time.Minute ||
			!maps.Equal(c.Windows, map[string]worker.Hours{"KE": {From: 8 * time.Hour, To: 18 * time.Hour}, "NG": {From: 8 * time.Hour, To: 20 * time.Hour}}) {
			t.Errorf("Parse(%q) = %+v; want the defaults", text, c)
		}
	}
	c, err := Parse("t.yaml", []byte("windows: off"), environment())
	if err != nil || c.Windows != nil {
		t.Errorf("windows: off gives %v, error %v; want no sending hours", c.Windows, err)
	}
}

func TestConfig_RedisURLFromTheEnvironmentWins(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "redis: {url: redis://other}", "redis: {url: '${NOT_SET}'}", "redis: {url: nonsense}"} {
		c, err := Parse("t.yaml", []byte(text), environment("TUMA_REDIS_URL", "redis://env:1/0"))
		if err != nil || c.Redis.URL != "redis://env:1/0" {
			t.Errorf("%q: got %v and error %v, want the URL of TUMA_REDIS_URL", text, c, err)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add("redis: {url: redis://h}\n" + koboAccount)
	f.Add("routes:\n  - {match: 1, via: [x]}\nwindows: {KE: off}\n")
	f.Add("a: &a [*a]\naccounts: *a\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("t.yaml", []byte(text), environment("A", "b"))
		var broken *Error
		if (err == nil) == (c == nil) || err != nil && !errors.As(err, &broken) {
			t.Errorf("Parse returned %v and error %v; want either a configuration or an *Error", c, err)
		}
	})
}
