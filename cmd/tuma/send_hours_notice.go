package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// sendingHoursNotice finds out which recipients of a campaign must wait for the sending hours of
// their country.
type sendingHoursNotice struct {
	// begins is the time at which the campaign begins: now or its start time.
	begins    time.Time
	countries []string // countries whose national numbers the list may hold
	// The map "closed" has the sending hours of each country where sending is not allowed when the
	// campaign begins. The map "affected" has the entries of "closed" for countries with at least
	// one recipient.
	closed, affected map[string]*hours.Window
}

// newSendingHoursNotice reads the sending hours that workers have published. It returns nil if no
// sending hours are closed when the campaign begins, or if the campaign is transactional.
func (s *sendCommand) newSendingHoursNotice(ctx context.Context, b *backend, countries []string) (*sendingHoursNotice, error) {
	if s.campaign.Class == producer.Transactional {
		return nil, nil
	}
	accounts, err := b.accountsFor(ctx, s.campaign.Via)
	if err != nil {
		return nil, err
	}
	c := &sendingHoursNotice{begins: s.now(), countries: countries, closed: map[string]*hours.Window{}, affected: map[string]*hours.Window{}}
	if s.times.start.After(c.begins) {
		c.begins = s.times.start
	}
	for _, acc := range accounts {
		for country, text := range acc.Windows {
			h, err := hours.Parse(text)
			if err != nil {
				continue // a worker of a newer release has published hours that this release cannot read
			}
			if w, err := hours.In(country, h); err == nil {
				if open, _ := w.Open(c.begins); !open {
					c.closed[country] = w
				}
			}
		}
	}
	if len(c.closed) == 0 {
		return nil, nil
	}
	return c, nil
}

// recordCountries yields the recipients unchanged. If the sending hours of a recipient's country
// are closed, it records the country in c.affected. If c is nil, it returns its parameter
// "recipients".
func (c *sendingHoursNotice) recordCountries(recipients iter.Seq2[producer.Recipient, error]) iter.Seq2[producer.Recipient, error] {
	if c == nil {
		return recipients
	}
	return func(yield func(producer.Recipient, error) bool) {
		for r, err := range recipients {
			if len(c.affected) < len(c.closed) {
				c.recordCountry(r.Number)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// recordCountry adds the country of a number to the map "affected" if the sending hours of this country
// are closed.
func (c *sendingHoursNotice) recordCountry(number string) {
	for _, national := range c.countries {
		m, err := sms.ParseMSISDN(number, national)
		if err != nil {
			continue
		}
		if w := c.closed[m.Country()]; w != nil {
			c.affected[w.Country] = w
		}
		return
	}
}

// noteSendingHours prints when recipients get the message, for each country in c.affected.
func (s *sendCommand) noteSendingHours(c *sendingHoursNotice) {
	if c == nil {
		return
	}
	for _, w := range slices.SortedFunc(maps.Values(c.affected), func(a, b *hours.Window) int { return cmp.Compare(a.Country, b.Country) }) {
		_, opens := w.Open(c.begins)
		text := fmt.Sprintf("recipients in %s wait for the sending hours (%s local time): sending starts at %s, %s", w.Country, w.Hours, s.noteTime(opens), formatUntil(opens, s.now()))
		if x := s.times.expiry; !x.IsZero() && !opens.Before(x) {
			text += "; but the campaign expires before that time"
		}
		s.note("tuma: %s", text)
	}
}
