package ledger

import (
	"fmt"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/sms"
)

// Misfit is a reason why an account cannot carry a campaign.
type Misfit struct {
	// Field is the campaign's, "from", "flash" or "body"; Problem is for people.
	Field, Problem string
}

// Misfits lists why an account cannot carry a campaign, as far as its card tells; none:
// it can. from is the campaign's own sender ID, or empty.
func (c Card) Misfits(from, body string, flash bool) (out []Misfit) {
	add := func(field, format string, args ...any) {
		out = append(out, Misfit{field, fmt.Sprintf(format, args...)})
	}
	if from == "" {
		from = c.Sender
	}
	if from == "" && !c.Info.SenderOptional {
		add("from", "account %s has no default sender: name one", c.Name)
	}
	if from != "" {
		if err := sms.ValidateSender(from, c.Info.SenderAlphaMax, c.Info.SenderDigitsMax); err != nil {
			add("from", "%s", err)
		}
	}
	if flash && !c.Info.Flash {
		add("flash", "the gateway of account %s has no flash messages", c.Name)
	}
	if n := utf8.RuneCountInString(body); c.Info.MaxChars > 0 && n > c.Info.MaxChars {
		add("body", "it has %d characters, account %s takes %d", n, c.Name, c.Info.MaxChars)
	}
	if n, enc := sms.Segments(body); c.Info.MaxSegments > 0 && n > c.Info.MaxSegments {
		add("body", "it takes %d segments in %s, account %s takes %d", n, enc, c.Name, c.Info.MaxSegments)
	}
	return out
}
