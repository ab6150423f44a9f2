package main

import (
	"cmp"
	"fmt"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/polling"
	"github.com/tuma-sms/tuma/providers"
)

// reportsLine describes the delivery reports of an account: how they are collected, or why they are not.
// The result "collected" is true if they are collected.
func reportsLine(acc *config.Account) (line string, collected bool) {
	_, posts := acc.Worker.Provider.(providers.DeliveryParser)
	lasts := acc.Card().ReportFor
	rate := cmp.Or(acc.ReportRate, polling.DefaultRate)
	switch {
	case lasts > 0 && acc.NamesCallback:
		return fmt.Sprintf("%s: by callback, else polled (max %s) for up to %s", acc.Name, rate, console.FormatDuration(lasts)), true
	case lasts > 0 && acc.Polled && acc.Card().ReportSample > 0:
		return fmt.Sprintf("%s: %s polled (max %s) for up to %s", acc.Name, acc.Worker.Reports, rate, console.FormatDuration(lasts)), true
	case lasts > 0 && acc.Polled:
		return fmt.Sprintf("%s: all messages polled (max %s) for up to %s", acc.Name, rate, console.FormatDuration(lasts)), true
	case acc.Polled:
		return acc.Name + ": no reports, because the account has \"reports: off\"", false
	case lasts > 0 && acc.HasCallbackKey:
		return fmt.Sprintf("%s: by callback, for up to %s", acc.Name, console.FormatDuration(lasts)), true
	case lasts > 0:
		return acc.Name + ": reports are not collected: set callback_secret", false
	case acc.Info.DLRNamesRecipient && acc.HasCallbackKey:
		return acc.Name + ": no reports, because the account has \"reports: off\"", false
	case acc.Info.DLRNamesRecipient:
		return acc.Name + ": reports are off; callback_secret turns them on", false
	case posts:
		return acc.Name + ": reports are not collected in this release", false
	default:
		return fmt.Sprintf("%s: %s cannot report delivery", acc.Name, acc.Kind.Name), false
	}
}

// checkReports prints a line about the delivery reports of each account whose settings are complete.
func checkReports(accounts []*config.Account, say func(format string, args ...any)) {
	for _, acc := range accounts {
		if acc.Ready() != nil {
			continue
		}
		mark := "- "
		line, collected := reportsLine(acc)
		if collected {
			mark = "ok"
		}
		say("reports        %s  %s", mark, line)
	}
}
