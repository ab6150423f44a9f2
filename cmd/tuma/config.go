package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/worker"
)

// config is the checked content of tuma.yaml, with defaults filled in. An account may still
// lack a secret or an environment variable: see accountConfig.missing. Only commands that use
// that account fail.
type config struct {
	// file is the name of the file that was read; empty if no file was read, so that all values are
	// defaults.
	file      string
	redis     redisConfig
	retention time.Duration
	// accounts are in the order of the file.
	accounts []*accountConfig
	routes   []ledger.Route
	country  string
	// windows are the sending hours of marketing by country; nil: marketing is sent at any hour.
	windows map[string]worker.Hours
	// failoverAfter is how long an account must be on hold before its work moves to the next
	// account of the route.
	failoverAfter time.Duration
}

// Defaults of the configuration.
const (
	defaultConfigFile    = "tuma.yaml"
	defaultRedisURL      = "redis://127.0.0.1:6379/0"
	defaultRetention     = 30 * 24 * time.Hour
	defaultFailoverAfter = time.Minute

	// maxConfigSize is the maximum size of the configuration file in bytes.
	maxConfigSize = 1 << 20
)

// errNoConfig is returned when a command needs a configuration file and there is none.
var errNoConfig = errors.New("no configuration: tuma.yaml is not in this directory; name a file with --config or TUMA_CONFIG")

// config returns the configuration; the first call reads the file. If the file does not exist, config
// returns errNoConfig if needFile is true, and otherwise the defaults, which are enough for commands
// that only need Redis.
func (a *app) config(needFile bool) (*config, error) {
	if a.loaded == nil {
		c, err := a.readConfig()
		if err != nil {
			return nil, err
		}
		a.loaded = c
	}
	if needFile && a.loaded.file == "" {
		return nil, misuseError{err: errNoConfig}
	}
	return a.loaded, nil
}

func (a *app) readConfig() (*config, error) {
	file, named := a.configPath, a.configPath != ""
	if !named {
		file, named = a.lookup("TUMA_CONFIG")
		named = named && file != ""
	}
	if !named {
		file = defaultConfigFile
	}
	text, err := readSmallFile(file, maxConfigSize)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		file = ""
	case err != nil:
		return nil, misuse("configuration: %w", err)
	}
	return parseConfig(file, text, a.lookup)
}

// readSmallFile reads a file. It returns an error if the file is larger than limit bytes.
func readSmallFile(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", name)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes; the maximum is %d", name, info.Size(), limit)
	}
	return os.ReadFile(name)
}

// parseConfig parses the text of the configuration file. Its error is a *configError with all
// mistakes. file is used in messages and may be empty; lookup reads an environment variable.
func parseConfig(file string, text []byte, lookup func(string) (string, bool)) (*config, error) {
	return parseConfigOf(catalog.Kinds(), file, text, lookup)
}

// parseConfigOf is parseConfig for configurations whose accounts may name only the providers in
// kinds.
func parseConfigOf(kinds []providers.Kind, file string, text []byte, lookup func(string) (string, bool)) (*config, error) {
	c := &config{
		file: file, redis: redisConfig{url: defaultRedisURL, source: "the default"}, retention: defaultRetention,
		windows: defaultWindows(), failoverAfter: defaultFailoverAfter,
	}
	r := &reader{file: file, dir: filepath.Dir(file), lookup: lookup, kinds: kinds}
	root := r.document(text)
	r.section(entry{value: root}, map[string]func(entry){
		"redis":           func(e entry) { r.redis(e, &c.redis) },
		"retention":       func(e entry) { r.duration(e, &c.retention, time.Minute, 10*365*24*time.Hour) },
		"accounts":        func(e entry) { c.accounts = r.accounts(e) },
		"routes":          func(e entry) { c.routes = r.routes(e) },
		"default_country": func(e entry) { r.country(e, &c.country) },
		"windows":         func(e entry) { r.windows(e, &c.windows) },
		"failover_after":  func(e entry) { r.duration(e, &c.failoverAfter, time.Second, 24*time.Hour) },
	})
	r.checkRoutes(c)
	if url, ok := lookup("TUMA_REDIS_URL"); ok && url != "" {
		r.redisFromEnvironment(url, &c.redis)
	}
	if len(r.problems) > 0 {
		// The configuration cannot be used: also report what is missing from accounts.
		for _, acc := range c.accounts {
			r.problems = append(r.problems, acc.missing...)
		}
		return nil, r.err()
	}
	return c, nil
}

// account returns the account with the given name. It returns an error if the
// configuration lacks the account, and both the account and an error if the account lacks a setting.
func (c *config) account(name string) (*accountConfig, error) {
	for _, acc := range c.accounts {
		if acc.name == name {
			return acc, acc.ready()
		}
	}
	return nil, misuse("%s has no account %q; its accounts: %s", c.file, name, cmp.Or(strings.Join(c.accountNames(), ", "), "none"))
}

func (c *config) accountNames() []string {
	var names []string
	for _, acc := range c.accounts {
		names = append(names, acc.name)
	}
	return names
}
