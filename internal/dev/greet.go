package dev

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tuma-sms/tuma/internal/console"
)

// columns is the maximum width of an output line. It is 79 because some terminals with 80 columns
// wrap a line of 80 characters.
const columns = 79

// The method "greet" prints the addresses of all parts, and the command for the first campaign.
func (e *environment) greet() error {
	var b strings.Builder
	line := func(name, text string) {
		for _, part := range console.Wrap(text, columns-11) {
			_, _ = fmt.Fprintf(&b, "%-10s %s\n", name, part)
			name = ""
		}
	}
	b.WriteString("tuma dev: simulated gateways; no message leaves this machine. Ctrl-C stops it.\n\n")
	cfg := e.setting.config
	if e.redis.Binary != "" {
		line("redis", fmt.Sprintf("%s, %s; campaigns stay in %s", e.redis.Address, e.redis.Binary, short(e.Data)))
	} else {
		line("redis", fmt.Sprintf("%s, the built-in Redis (%s); campaigns are lost when tuma dev ends", e.redis.Address, e.redis.Why))
	}
	line("sandbox", "http://"+e.address)
	names := cfg.AccountNames()
	line("worker", "sends for "+strings.Join(names, ", "))
	state := "read from "
	if e.setting.written {
		state = "written to "
	}
	line("settings", state+short(cfg.File))
	if cfg.Country == "" {
		line("country", "none: write numbers in full, as +254712345678; or set default_country in "+short(cfg.File)+" and start again")
	} else {
		line("country", cfg.Country+" is the country of numbers without a country code")
	}
	b.WriteString("\nTo send, open another terminal:\n\n")
	folder, err := os.Getwd()
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(&b, "  cd %s\n", quoteForShell(folder))
	if e.setting.export {
		file, err := filepath.Abs(cfg.File)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&b, "  export TUMA_CONFIG=%s\n", quoteForShell(file))
	}
	_, _ = fmt.Fprintf(&b, "  tuma send --via %s --body 'Hello!' --file customers.csv --wait\n\n", preferred(names))
	b.WriteString("Messages that arrive at the gateways are shown here:\n")
	_, err = fmt.Fprintln(e.Out, b.String())
	return err
}

// The function "preferred" returns the account for the example. It prefers an account whose gateway
// has idempotency keys. Otherwise it returns the first account.
func preferred(names []string) string {
	for _, name := range names {
		if name == "try-kobo" {
			return name
		}
	}
	return names[0]
}

// The function "short" returns the path relative to the current folder if the file is below that
// folder. Otherwise it returns the path unchanged.
func short(path string) string {
	folder, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(folder, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// quoteForShell quotes a path for a POSIX shell, if necessary.
func quoteForShell(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
