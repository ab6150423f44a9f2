package main

import (
	"cmp"
	"errors"
	"strings"

	"github.com/tuma-sms/tuma/internal/config"
)

// errNoConfig is returned when a command needs a configuration file and the file does not exist.
var errNoConfig = errors.New("no configuration: tuma.yaml is not in this directory; name a file with --config or TUMA_CONFIG")

// config returns the configuration; the first call reads the file. If the file does not exist, config
// returns errNoConfig if needFile is true, and otherwise the defaults, which are enough for commands
// that only need Redis.
func (a *app) config(needFile bool) (*config.Config, error) {
	if a.loaded == nil {
		c, err := config.Load(a.configPath, a.lookup)
		if err != nil {
			return nil, misuseError{err: err}
		}
		a.loaded = c
	}
	if needFile && a.loaded.File == "" {
		return nil, misuseError{err: errNoConfig}
	}
	return a.loaded, nil
}

// findAccount returns the account with the given name. If the configuration does not have the
// account, findAccount returns nil and an error. If the account lacks a setting, findAccount returns
// the account and an error.
func findAccount(cfg *config.Config, name string) (*config.Account, error) {
	if acc := cfg.Account(name); acc != nil {
		return acc, acc.Ready()
	}
	return nil, misuse("%s has no account %q; its accounts: %s", cfg.File, name, cmp.Or(strings.Join(cfg.AccountNames(), ", "), "none"))
}

// notSupported returns an error for a kind of request that an account's gateway does not offer. The
// parameter "what" names the kind.
func notSupported(acc *config.Account, what string) error {
	return misuse("account %s: provider %s does not support %s", acc.Name, acc.Kind.Name, what)
}

// account returns the named account of the configuration. It returns an error if the
// configuration lacks the account, or the account lacks a setting.
func (a *app) account(name string) (*config.Account, error) {
	cfg, err := a.config(true)
	if err != nil {
		return nil, err
	}
	return findAccount(cfg, name)
}
