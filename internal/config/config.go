// Package config reads tuma.yaml and checks it. It reports all mistakes at once, each with its
// line. For a misspelt key it also names the probable key. All commands that need a configuration
// use this package. Its messages never contain a secret.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/webhook"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/worker"
)

// Config is the checked content of tuma.yaml, with defaults filled in. An account may still
// lack a secret or an environment variable (see Account.Ready). Then only commands that use
// this account fail. A Config does not change after Load or Parse, so it is safe for concurrent
// use.
type Config struct {
	// File is the name of the file that was read. It is empty if no file was read. Then all values
	// are defaults.
	File  string
	Redis Redis
	// Retention is how long Redis keeps an ended campaign.
	Retention time.Duration
	// Messages is the section of single messages.
	Messages Messages
	// Accounts are in the order of the file.
	Accounts []*Account
	// Routes are in the order of the file. The first route that matches a number applies.
	Routes []campaign.Route
	// Country is an ISO code. A number without a country code is a number of this country. Country is empty if
	// the file does not set it.
	Country string
	// Windows are the sending hours of marketing by country. If Windows is nil, marketing is sent at
	// any hour.
	Windows map[string]worker.Hours
	// Inbound is the section of incoming messages.
	Inbound Inbound
	// Serve is the section of `tuma serve`.
	Serve Serve
	// Tracing is the section of traces.
	Tracing Tracing
	// Webhooks are the endpoints that get events. An endpoint may lack a secret (see WebhooksReady).
	Webhooks        []webhook.Endpoint
	webhooksMissing []problem
	// Digest is a hash of the file and of all secret files that it names. It changes when one of
	// these files changes.
	Digest string
	// FailoverAfter is how long an account must be on hold before its work moves to the next
	// account of the route.
	FailoverAfter time.Duration
}

// Defaults of the configuration.
const (
	// DefaultFile is the file that is read if neither the user nor TUMA_CONFIG names a file.
	DefaultFile = "tuma.yaml"
	// DefaultRedisURL is the URL of Redis if neither the file nor TUMA_REDIS_URL sets it.
	DefaultRedisURL = "redis://127.0.0.1:6379/0"

	defaultRetention     = 30 * 24 * time.Hour
	defaultFailoverAfter = time.Minute

	// maxConfigSize is the maximum size of the configuration file in bytes.
	maxConfigSize = 1 << 20
)

// Load reads and checks the configuration file. The parameter "file" is the file that the user
// named. If it is empty, Load reads the file that TUMA_CONFIG names, or else ./tuma.yaml. The
// function "lookup" reads an environment variable. If neither the user nor TUMA_CONFIG names a
// file and ./tuma.yaml does not exist, Load returns the defaults, with an empty File. An error
// about the content of the file is an *Error. Every other error means that the file cannot be
// read.
func Load(file string, lookup func(string) (string, bool)) (*Config, error) {
	named := file != ""
	if !named {
		file, named = lookup("TUMA_CONFIG")
		named = named && file != ""
	}
	if !named {
		file = DefaultFile
	}
	text, err := readSmallFile(file, maxConfigSize)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		file = ""
	case err != nil:
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(file, text, lookup)
}

// readSmallFile reads a file. It returns an error if the file is larger than limit bytes.
func readSmallFile(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory, but it must be a file", name)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes; the maximum is %d", name, info.Size(), limit)
	}
	return os.ReadFile(name)
}

// Parse parses the text of the configuration file. Its error is an *Error with all mistakes. The
// parameter "file" is the file name in messages and may be empty. The function "lookup" reads an
// environment variable.
func Parse(file string, text []byte, lookup func(string) (string, bool)) (*Config, error) {
	return parseKinds(catalog.Kinds(), file, text, lookup)
}

// parseKinds is like Parse, but the provider of an account must be in the parameter "kinds".
func parseKinds(kinds []providers.Kind, file string, text []byte, lookup func(string) (string, bool)) (*Config, error) {
	c := &Config{
		File: file, Redis: Redis{URL: DefaultRedisURL, Source: "the default"}, Retention: defaultRetention,
		Windows: defaultWindows(), FailoverAfter: defaultFailoverAfter, Inbound: defaultInbound(),
		Messages: Messages{Retention: worker.DefaultMessageRetention, PurgeBody: true},
	}
	r := &reader{file: file, dir: filepath.Dir(file), lookup: lookup, kinds: kinds, sum: sha256.New()}
	r.sum.Write(text)
	root := r.document(text)
	r.section(entry{value: root}, map[string]func(entry){
		"redis":           func(e entry) { r.redis(e, &c.Redis) },
		"retention":       func(e entry) { r.duration(e, &c.Retention, time.Minute, 10*365*24*time.Hour) },
		"messages":        func(e entry) { r.messages(e, &c.Messages) },
		"accounts":        func(e entry) { c.Accounts = r.accounts(e) },
		"routes":          func(e entry) { c.Routes = r.routes(e) },
		"default_country": func(e entry) { r.country(e, &c.Country) },
		"inbound":         func(e entry) { r.inbound(e, &c.Inbound) },
		"serve":           func(e entry) { r.serve(e, &c.Serve) },
		"tracing":         func(e entry) { r.tracing(e, &c.Tracing) },
		"webhooks":        func(e entry) { r.webhooks(e, c) },
		"windows":         func(e entry) { r.windows(e, &c.Windows) },
		"failover_after":  func(e entry) { r.duration(e, &c.FailoverAfter, time.Second, 24*time.Hour) },
	})
	r.checkRoutes(c)
	r.callbackURLs(c)
	if url, ok := lookup("TUMA_REDIS_URL"); ok && url != "" {
		r.redisFromEnvironment(url, &c.Redis)
	}
	r.checkTLS(&c.Redis)
	if len(r.problems) > 0 {
		// Also report the values that accounts and webhooks lack, so that the error has all problems.
		for _, acc := range c.Accounts {
			r.problems = append(r.problems, acc.missing...)
		}
		r.problems = append(r.problems, c.webhooksMissing...)
		return nil, r.err()
	}
	c.Digest = hex.EncodeToString(r.sum.Sum(nil))
	return c, nil
}

// Account returns the account with the given name, or nil if the configuration lacks it.
func (c *Config) Account(name string) *Account {
	for _, acc := range c.Accounts {
		if acc.Name == name {
			return acc
		}
	}
	return nil
}

// AccountNames returns the names of the accounts, in the order of the file.
func (c *Config) AccountNames() []string {
	var names []string
	for _, acc := range c.Accounts {
		names = append(names, acc.Name)
	}
	return names
}
