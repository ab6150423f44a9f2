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
	"github.com/tuma-sms/tuma/worker"
)

// config is what tuma.yaml says, checked and with its defaults filled in. Only
// what is missing from an account, and so matters to nobody but that account's
// users, may still be wrong in it: see accountConfig.missing.
type config struct {
	// file is what was read, or empty: then all is default.
	file      string
	redis     redisConfig
	retention time.Duration
	// accounts stand in the order of the file.
	accounts []*accountConfig
	routes   []ledger.Route
	country  string
	// windows are the hours in which marketing may be sent, by country; nil: at any
	// hour.
	windows map[string]worker.Hours
	// failoverAfter is how long an account must be held before its work moves to the
	// route's next. It is read and checked; a later release acts on it.
	failoverAfter time.Duration
}

// The defaults.
const (
	defaultConfigFile    = "tuma.yaml"
	defaultRedisURL      = "redis://127.0.0.1:6379/0"
	defaultRetention     = 30 * 24 * time.Hour
	defaultFailoverAfter = time.Minute

	// maxConfigSize is far above any configuration.
	maxConfigSize = 1 << 20
)

// errNoConfig: there is no configuration file, and none was named.
var errNoConfig = errors.New("there is no tuma.yaml here: name a configuration with --config or TUMA_CONFIG")

// config reads the configuration, once. Commands that need accounts have to have
// a file; for the others (needFile false) Redis at its default place will do.
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

// readSmallFile reads a file of at most so many bytes.
func readSmallFile(name string, most int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", name)
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", name, info.Size(), most)
	}
	return os.ReadFile(name)
}

// parseConfig reads a configuration. Its error is a *configError with every
// mistake there is. file may be empty, if there is none; lookup is the environment.
func parseConfig(file string, text []byte, lookup func(string) (string, bool)) (*config, error) {
	c := &config{
		file: file, redis: redisConfig{url: defaultRedisURL, source: "the default"}, retention: defaultRetention,
		windows: defaultWindows(), failoverAfter: defaultFailoverAfter,
	}
	r := &reader{file: file, dir: filepath.Dir(file), lookup: lookup}
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
		// As it does not work anyway, all that is to be put right is told at once.
		for _, acc := range c.accounts {
			r.problems = append(r.problems, acc.missing...)
		}
		return nil, r.err()
	}
	return c, nil
}

// account returns the account of that name, ready for use.
func (c *config) account(name string) (*accountConfig, error) {
	for _, acc := range c.accounts {
		if acc.name == name {
			return acc, acc.ready()
		}
	}
	return nil, misuse("%s has no account %q; it has %s", c.file, name, cmp.Or(strings.Join(c.accountNames(), ", "), "none"))
}

func (c *config) accountNames() []string {
	var names []string
	for _, acc := range c.accounts {
		names = append(names, acc.name)
	}
	return names
}
