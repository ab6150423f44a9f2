package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// setting is the configuration that a run uses.
type setting struct {
	config *config.Config
	// The field "written" is true if this run has written the file.
	written bool
	// The field "export" is true if `tuma send` finds the file only through TUMA_CONFIG.
	export bool
}

// findConfig finds the configuration, or writes it if the file does not exist. It never changes an
// existing file. It does not use a file with a real gateway or another Redis. If the user has named
// this file on the command line, findConfig returns an error. If TUMA_CONFIG names it, or if it is
// tuma.yaml in the current folder, findConfig uses tuma.yaml in the folder Data instead.
func (e *environment) findConfig() (setting, error) {
	if url, _ := e.Lookup("TUMA_REDIS_URL"); url != "" {
		e.Note("tuma: warning: TUMA_REDIS_URL is set, so tuma send would use another Redis: unset TUMA_REDIS_URL in the terminal where you run tuma send")
	}
	name, named := e.Config, e.Config != ""
	fromEnvironment, _ := e.Lookup("TUMA_CONFIG")
	switch {
	case named:
	case fromEnvironment != "":
		name = fromEnvironment
	default:
		name = config.DefaultFile
	}
	s, err := e.openConfig(name)
	if err != nil {
		return setting{}, err
	}
	s.export = named || fromEnvironment != ""
	why := e.foreign(s.config)
	if why == "" {
		return s, e.checkCountry(s)
	}
	if named {
		return setting{}, fmt.Errorf("%w: --config: %s", ErrUsage, why)
	}
	e.Note("tuma: %s; tuma dev does not use this file", why)
	if s, err = e.openConfig(filepath.Join(e.Data, config.DefaultFile)); err != nil {
		return setting{}, err
	}
	s.export = true
	if why := e.foreign(s.config); why != "" {
		return setting{}, fmt.Errorf("%w: %s: delete this file, and tuma dev writes a new one", ErrUsage, why)
	}
	return s, e.checkCountry(s)
}

// checkCountry returns an error if the user has named a country and the configuration has another
// country.
func (e *environment) checkCountry(s setting) error {
	if e.Country == "" || strings.EqualFold(e.Country, s.config.Country) {
		return nil
	}
	has := "no default_country"
	if s.config.Country != "" {
		has = "default_country: " + s.config.Country
	}
	return fmt.Errorf("%w: --country: the file %s has %s: change the country in this file", ErrUsage, s.config.File, has)
}

// openConfig reads a configuration, or writes it if the file does not exist.
func (e *environment) openConfig(name string) (setting, error) {
	// The worker uses the Redis of this run and ignores TUMA_REDIS_URL.
	lookup := func(name string) (string, bool) {
		if name == "TUMA_REDIS_URL" {
			return "", false
		}
		return e.Lookup(name)
	}
	text := []byte(e.configText())
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		cfg, err := config.Load(name, lookup)
		return setting{config: cfg}, err
	case err != nil:
		return setting{}, fmt.Errorf("configuration: %w", err)
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return setting{}, fmt.Errorf("configuration: %w", errors.Join(err, os.Remove(name)))
	}
	cfg, err := config.Parse(name, text, lookup)
	return setting{config: cfg, written: true}, err
}

// The method "foreign" returns the reason why this run cannot use a configuration, or "" if it can
// use the configuration. The configuration's Redis must be the Redis of this run, and all its
// accounts must be in the sandbox of this run.
func (e *environment) foreign(cfg *config.Config) string {
	u, err := url.Parse(cfg.Redis.URL)
	if err != nil || u.Scheme != "redis" || u.User != nil || !isLoopback(u.Host, e.RedisPort) {
		return fmt.Sprintf("%s uses the Redis at %s, not %s", cfg.File, config.URLWithoutLogin(cfg.Redis.URL), loopback(e.RedisPort))
	}
	for _, acc := range cfg.Accounts {
		at := acc.BaseURL
		if at == "" {
			at = "the real gateway"
		}
		if u, err := url.Parse(acc.BaseURL); err != nil || u.Scheme != "http" || !isLoopback(u.Host, e.SandboxPort) {
			return fmt.Sprintf("%s: account %s is at %s, not in the sandbox %s", cfg.File, acc.Name, at, loopback(e.SandboxPort))
		}
	}
	if len(cfg.Accounts) == 0 {
		return cfg.File + " has no accounts"
	}
	return ""
}

// isLoopback reports whether an address is the given port of this machine.
func isLoopback(address string, port int) bool {
	host, found, err := net.SplitHostPort(address)
	return err == nil && found == strconv.Itoa(port) && (host == "localhost" || host == "127.0.0.1")
}

// configText returns the configuration that a run writes.
func (e *environment) configText() string {
	country := "# default_country: KE   # the country of numbers such as 0712 345 678"
	if e.Country != "" {
		country = "default_country: " + strings.ToUpper(e.Country) + "   # the country of numbers such as 0712 345 678"
	}
	return fmt.Sprintf(`# Written by tuma dev, and yours to change. Every account is a simulated gateway
# on this machine: no message is sent.
redis:
  url: redis://%s/0
%s
%s
windows: off   # the sandbox may be used at any hour
`, loopback(e.RedisPort), Accounts(e.address), country)
}

// Accounts returns the section accounts of a configuration, with an account at each gateway of the
// sandbox. The parameter "address" is the address of the sandbox.
func Accounts(address string) string {
	var b strings.Builder
	b.WriteString("accounts:\n")
	host, _, err := net.SplitHostPort(address)
	for _, kind := range catalog.Kinds() {
		_, _ = fmt.Fprintf(&b, "  try-%[1]s:\n    provider: %[1]s\n    base_url: http://%[2]s/%[1]s\n", kind.Name, address)
		for _, field := range kind.Login() {
			_, _ = fmt.Fprintf(&b, "    %s: any\n", field)
		}
		b.WriteString("    sender: ACME\n")
		if err == nil && !net.ParseIP(host).IsLoopback() {
			b.WriteString("    allow_http: true\n")
		}
	}
	return b.String()
}
