package planning

import (
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// Repeats finds recipients that would not get their text: an earlier recipient has the same number
// and another text, so a Planner would skip the later recipient as a duplicate. Repeats uses neither
// accounts nor suppression lists. So it may also report recipients that a Planner skips for another
// reason. It is not safe for concurrent use.
type Repeats struct {
	country  string
	renderer *renderer // nil if the campaign cannot have duplicates whose texts differ
	seen     *msisdnSet
	messages *messageSet
}

// NewRepeats returns a Repeats for a campaign. country is the ISO code of the country for numbers
// in national format. NewRepeats returns an error if the campaign's template cannot be parsed.
func NewRepeats(spec campaign.Spec, country string) (*Repeats, error) {
	r := &Repeats{country: country}
	if !spec.Personalized() || spec.Duplicates == campaign.DuplicatesEach {
		return r, nil
	}
	r.seen, r.messages = newMSISDNSet(), newMessageSet()
	var err error
	r.renderer, err = newRenderer(spec)
	return r, err
}

// Add adds the next recipient, with its values of the merge fields. It reports whether an
// earlier recipient has the same number and another text.
func (r *Repeats) Add(input string, values []string) (otherText bool) {
	if r.renderer == nil {
		return false
	}
	m, err := sms.ParseMSISDN(input, r.country)
	if err != nil {
		return false
	}
	body, reason, _ := r.renderer.render(values)
	if reason != "" {
		return false
	}
	if block, low := r.seen.blockOf(m); block.has(low) {
		return !r.messages.has(m, body)
	}
	r.seen.add(m)
	r.messages.add(m, body)
	return false
}
