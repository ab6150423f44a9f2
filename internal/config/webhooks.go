package config

import "github.com/tuma-sms/tuma/internal/webhook"

// WebhooksReady returns an *Error with the missing values of the webhooks, such as a secret, or nil. Only `tuma serve`
// needs these values.
func (c *Config) WebhooksReady() error {
	if len(c.webhooksMissing) == 0 {
		return nil
	}
	return &Error{file: c.File, problems: c.webhooksMissing}
}

// The method "webhooks" reads the section "webhooks", which has endpoints by name.
func (r *reader) webhooks(e entry, c *Config) {
	r.lacking = &c.webhooksMissing
	defer func() { r.lacking = nil }()
	seen := map[string]int{}
	for child := range r.entries(e) {
		name := child.name
		child.name = e.name + "." + name
		if line, twice := seen[name]; twice {
			r.fail(child, "is set twice: the first time is in line %d", line)
			continue
		}
		seen[name] = child.line
		c.Webhooks = append(c.Webhooks, r.webhook(name, child))
	}
}

// webhook reads one endpoint.
func (r *reader) webhook(name string, e entry) webhook.Endpoint {
	to := webhook.Endpoint{Name: name, Configured: true}
	given := map[string]entry{"name": e, "url": {name: e.name + ".url", line: e.line}}
	missing, mistakes := len(*r.lacking), len(r.problems)
	secret := func(read func(entry, *string)) func(entry) {
		return func(e entry) {
			if first, twice := given["secret"]; twice {
				r.fail(e, "is already set in line %d; remove one of the two settings", first.line)
				return
			}
			given["secret"] = e
			for _, key := range r.secrets(e, nil, read, webhook.CheckSecret) {
				to.Secrets = append(to.Secrets, webhook.Secret{Key: key})
			}
		}
	}
	r.section(e, map[string]func(entry){
		"url":           func(e entry) { given["url"] = e; r.string(e, &to.URL) },
		"events":        func(e entry) { given["events"] = e; to.Events = r.texts(e) },
		"secret":        secret(r.string),
		"secret_file":   secret(r.secretFile),
		"allow_private": func(e entry) { r.bool(e, &to.AllowPrivate) },
	})
	if _, ok := given["secret"]; !ok {
		r.lack(entry{name: e.name, line: e.line}, "secret is missing; set secret or secret_file; the secret must be whsec_ followed by 24 to 64 random bytes in base64")
	}
	for _, m := range to.Mistakes() {
		if m.Field == "url" && to.URL == "" && (len(*r.lacking) > missing || len(r.problems) > mistakes) && given["url"].value != nil {
			continue // another message has reported that the URL is missing
		}
		r.fail(given[m.Field], "%s", m.Problem)
	}
	return to
}

// The method "texts" reads a list of texts.
func (r *reader) texts(e entry) (out []string) {
	for _, item := range r.items(e) {
		if text, ok := r.text(item); ok {
			out = append(out, text)
		}
	}
	return out
}
