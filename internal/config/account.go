package config

import (
	"maps"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
	"github.com/tuma-sms/tuma/worker"
)

// Account is an account of the configuration.
type Account struct {
	// Name is unique in the configuration.
	Name string
	line int
	file string
	// Kind is the account's provider. It is the zero Kind if the configuration names no known provider.
	Kind providers.Kind
	// Login has the names of the login fields that the account must set.
	Login []string
	// Info describes the provider. Info is set even if the account lacks a required value.
	Info providers.Info
	// BaseURL is the address of the gateway. If it is empty, the provider's own address applies.
	BaseURL string
	// Worker is the account in the form of package worker. Worker.Provider is nil if a value is missing.
	Worker worker.Account
	// CallbackSecrets are the secrets of the account's callback URLs. The slice has at most one secret, or two
	// secrets during a rotation.
	CallbackSecrets []providers.Secret
	// HasCallbackKey is true if the configuration has a key for callback secrets, even if its value is
	// missing.
	HasCallbackKey bool
	// NamesCallback is true if each call names the URL to which the gateway posts the delivery reports of this call
	// (Worker.CallbackURL).
	NamesCallback bool
	callbackURL   entry
	// Polled is true if `tuma serve` asks the gateway for delivery reports, because the gateway does not post its
	// reports. ReportRate is the rate of these requests. If it is not configured, it is 0.
	Polled     bool
	ReportRate ratelimit.Rate
	// The field "missing" lists required values that are not set, such as a secret or an environment variable.
	// If a value is missing, only commands that use this account fail.
	missing []problem
}

// Ready returns an *Error with the missing values, or nil if the account can be used.
func (a *Account) Ready() error {
	if len(a.missing) == 0 {
		return nil
	}
	return &Error{file: a.file, problems: a.missing}
}

// Missing returns an *Error with all missing values of the given accounts, in the order of the file. It returns nil
// if no value is missing.
func (c *Config) Missing(accounts []*Account) error {
	r := reader{file: c.File}
	for _, acc := range accounts {
		r.problems = append(r.problems, acc.missing...)
	}
	return r.err()
}

func (r *reader) accounts(e entry) []*Account {
	var all []*Account
	seen := map[string]int{}
	for child := range r.entries(e) {
		name := child.name
		child.name = e.name + "." + name
		if line, twice := seen[name]; twice {
			r.fail(child, "is set twice: the first time is in line %d", line)
			continue
		}
		seen[name] = child.line
		if !accounts.ValidName(name) {
			r.fail(child, "an account name must have 1 to 64 characters of A-Z a-z 0-9 _ -")
		}
		all = append(all, r.account(name, child))
	}
	return all
}

// The method "account" reads one account. It first reads the keys that every account may have, and then the keys of
// the account's provider.
func (r *reader) account(name string, e entry) *Account {
	acc := &Account{Name: name, line: e.line, file: r.file, Worker: worker.Account{Name: name}}
	r.lacking = &acc.missing
	defer func() { r.lacking = nil }()

	settings := providers.Settings{Options: map[string]string{}}
	given := map[string]entry{}
	keys := r.tumaKeys(&acc.Worker, &settings)
	keys["report_rate"] = func(e entry) { r.reportRate(e, &acc.ReportRate) }
	login, options := r.providerFields(e, &acc.Kind)
	for _, field := range options {
		if keys[field] == nil {
			keys[field] = func(e entry) {
				var value string
				r.string(e, &value)
				settings.Options[field] = value
			}
		}
	}
	for _, field := range login {
		keys[field.Name] = func(e entry) {
			value := placeholder // kept if r.string reports a mistake
			if r.string(e, &value); value == "" {
				r.lack(e, "has no value")
				value = placeholder
			}
			settings.SetLogin(field, value)
		}
		keys[field.Name+"_file"] = func(e entry) {
			value := placeholder
			r.secretFile(e, &value)
			settings.SetLogin(field, value)
		}
	}
	r.callbackKeys(acc, options, keys)
	for key, read := range keys {
		keys[key] = func(e entry) {
			field := strings.TrimSuffix(key, "_file")
			if other, twice := given[field]; twice {
				r.fail(e, "is already set in line %d; remove one of the two settings", other.line)
				return
			}
			given[field] = e
			read(e)
		}
	}
	r.section(e, keys)
	if acc.Kind.Name != "" {
		r.open(acc, e, settings, given)
	}
	return acc
}

// tumaKeys returns the keys that every account may have. It maps each key to a function that reads the value into w
// or s.
func (r *reader) tumaKeys(w *worker.Account, s *providers.Settings) map[string]func(entry) {
	return map[string]func(entry){
		"provider":       func(entry) {}, // read before the others
		"base_url":       func(e entry) { r.string(e, &s.BaseURL) },
		"allow_http":     func(e entry) { r.bool(e, &s.AllowHTTP) },
		"rate":           func(e entry) { r.rate(e, &w.Rate) },
		"burst":          func(e entry) { r.int(e, &w.Burst, 1_000_000) },
		"unit":           func(e entry) { r.oneOf(e, &w.Unit, "messages", "segments", "requests") },
		"sender":         func(e entry) { r.sender(e, &w.Sender) },
		"concurrency":    func(e entry) { r.int(e, &w.Concurrency, 1000); s.Concurrency = w.Concurrency },
		"timeout":        func(e entry) { r.duration(e, &w.Timeout, 100*time.Millisecond, 5*time.Minute); s.Timeout = w.Timeout },
		"max_recipients": func(e entry) { r.int(e, &s.MaxRecipients, 100_000) },
		"max_attempts":   func(e entry) { r.int(e, &w.MaxAttempts, 1000) },
		"price":          func(e entry) { r.price(e, &w.Price) },
		"on_unknown":     func(e entry) { r.oneOf(e, &w.OnUnknown, worker.OnUnknownKeep, worker.OnUnknownResend) },
		"reports":        func(e entry) { r.reports(e, &w.Reports) },
		"report_for":     func(e entry) { r.duration(e, &w.ReportFor, time.Minute, 7*24*time.Hour) },
		"reconcile_for":  func(e entry) { r.reconcileFor(e, &w.ReconcileFor) },
	}
}

// providerFields finds the account's provider. It returns the provider's login fields and its other
// fields. If the provider is unknown, it returns the login fields of all providers, so that no
// login field is reported as unknown.
func (r *reader) providerFields(e entry, kind *providers.Kind) (login []providers.Field, options []string) {
	quiet := &reader{lookup: r.lookup}
	named := entry{name: e.name + ".provider", line: e.line}
	var name string
	for child := range quiet.entries(e) {
		if child.name == "provider" {
			child.name = named.name
			named = child
			r.string(child, &name)
		}
	}
	var names []string
	for _, k := range r.kinds {
		if k.Name == name {
			*kind = k
			return k.LoginFields(), k.Optional
		}
		names = append(names, k.Name)
		login = append(login, k.LoginFields()...)
	}
	known := strings.Join(names, ", ")
	switch {
	case named.value == nil && (e.value.Kind == yaml.MappingNode || e.value.Tag == "!!null"):
		r.fail(named, "is missing; providers: %s", known)
	case name != "":
		r.fail(named, "unknown provider %s; providers: %s", show(named), known)
	}
	return login, nil
}

// placeholder stands for a login field that is missing or wrong. The reader has already reported
// that mistake. With the placeholder, the provider can still report further mistakes. An account
// with a placeholder is never used.
const placeholder = "missing"

// The method "open" creates the account's provider, which checks its own settings.
func (r *reader) open(acc *Account, e entry, s providers.Settings, given map[string]entry) {
	missing := len(acc.missing)
	acc.BaseURL = s.BaseURL
	full := s
	full.Login, full.Secrets = maps.Clone(s.Login), maps.Clone(s.Secrets)
	isGiven := func(field providers.Field) bool { _, ok := given[field.Name]; return ok }
	login := acc.Kind.LoginOf(isGiven)
	acc.Login = providers.FieldNames(login)
	for _, field := range login {
		if !isGiven(field) {
			r.lack(entry{name: e.name, line: e.line}, "%s is missing; provider %s needs %[3]s or %[3]s_file%[4]s", field.Name, acc.Kind.Name, field.Name, insteadOf(acc.Kind, given))
		}
		if !s.HasLogin(field) {
			full.SetLogin(field, placeholder)
		}
	}
	provider, err := acc.Kind.Open(full)
	for m := range providers.Mistakes(err) {
		at, ok := given[m.Field]
		if !ok {
			at = entry{name: e.name + "." + m.Field, line: e.line}
		}
		if ok || missing == len(acc.missing) {
			r.fail(at, "%v", m.Err)
		}
	}
	if err == nil {
		acc.Info = provider.Info()
	}
	if err != nil {
		provider = nil
	}
	r.settleReports(acc, e, given, provider)
	if err == nil && len(acc.missing) == 0 {
		acc.Worker.Provider = provider
	}
}

// insteadOf returns a text about the second way to log in at a gateway. The text is part of the message about a
// missing login field. insteadOf returns "" if the gateway has only one way to log in, or if the account sets a login
// field.
func insteadOf(kind providers.Kind, given map[string]entry) string {
	if len(kind.Instead) == 0 {
		return ""
	}
	for _, field := range kind.LoginFields() {
		if _, ok := given[field.Name]; ok {
			return ""
		}
	}
	return "; or set " + strings.Join(providers.FieldNames(kind.Instead), " and ") + " instead of " + strings.Join(kind.Login(), " and ")
}

func (r *reader) rate(e entry, target *ratelimit.Rate) {
	s, ok := r.text(e)
	if !ok {
		return
	}
	rate, err := ratelimit.ParseRate(s)
	if err != nil {
		r.fail(e, "%s must be a rate such as 50/s or 600/m, or 0 for no limit", show(e))
		return
	}
	*target = rate
}

func (r *reader) sender(e entry, target *string) {
	if isEmptyText(e) {
		return // without a sender, the gateway chooses the sender
	}
	r.string(e, target)
}

var priceForm = regexp.MustCompile(`^([0-9]{1,9}(?:\.[0-9]{1,6})?) ([A-Z]{3})$`)

func (r *reader) price(e entry, target *string) {
	s, ok := r.text(e)
	if !ok {
		return
	}
	if !priceForm.MatchString(s) {
		r.fail(e, `%s must be a price: an amount and a currency, such as "0.80 KES"`, show(e))
		return
	}
	*target = s
}

// SplitPrice splits an account's price of a segment, such as "0.80 KES", into amount and currency.
// It returns false if the text has another form.
func SplitPrice(price string) (amount, currency string, ok bool) {
	m := priceForm.FindStringSubmatch(price)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}
