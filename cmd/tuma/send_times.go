package main

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/internal/moment"
	"github.com/tuma-sms/tuma/producer"
)

// timeForms describes the times that commands accept, for help texts.
const timeForms = "e.g. 'tomorrow 08:00', '2026-11-29 08:00', 08:00, 'in 2h' or RFC 3339"

// sendTimes has the start and the expiry of a campaign: the texts of the flags, and the times that
// the command has read from them.
type sendTimes struct {
	startAt, expireAt, expireIn, zoneName string // values of the flags

	zone *time.Location // the zone in which times are read and shown
	now  time.Time      // the time at which the flags were read
	// start and expiry are the times of the campaign. A zero start means now, and a zero expiry
	// means never.
	start, expiry time.Time
	// missedStart and missedExpiry are set if --start-at or --expires-at is a time of day that has
	// passed today (moment.Moment.Missed).
	missedStart, missedExpiry time.Time
}

// zoneFor returns the time zone in which a command reads dates and times of day. The parameter
// "name" is the value of --zone; if it is set, zoneFor returns the zone with this name. Otherwise
// zoneFor returns the zone of the parameter "country", or of default_country if that parameter is
// empty. If there are several zones in that country, it returns the zone of the machine.
func zoneFor(a *app, name, country string) (*time.Location, error) {
	if name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil {
			return nil, misuse("--zone: unknown time zone %.40q: use a name such as Africa/Nairobi or UTC", name)
		}
		return zone, nil
	}
	if country == "" {
		cfg, err := a.config(false)
		if err != nil {
			return nil, err
		}
		country = cfg.Country
	}
	if zone := hours.Zone(strings.ToUpper(country)); zone != nil {
		return zone, nil
	}
	return localZone(a), nil
}

// localZone returns the time zone that the environment variable TZ names, or else the time zone of the
// machine.
func localZone(a *app) *time.Location {
	if name, _ := a.lookup("TZ"); name != "" {
		if zone, err := time.LoadLocation(strings.TrimPrefix(name, ":")); err == nil {
			return zone
		}
	}
	return time.Local
}

// parse reads the flags into t and into the campaign c. The returned error joins all mistakes.
func (t *sendTimes) parse(a *app, c *producer.Campaign) (err error) {
	if t.zone, err = zoneFor(a, t.zoneName, c.Country); err != nil {
		return err
	}
	t.now = a.now()
	var mistakes []error
	read := func(flag, text string) (m moment.Moment) {
		if text == "" {
			return m
		}
		m, err := moment.Parse(text, t.now, t.zone)
		if err != nil {
			mistakes = append(mistakes, misuse("%s: %.60q: %w", flag, text, err))
		}
		return m
	}
	start, expiry := read("--start-at", t.startAt), read("--expires-at", t.expireAt)
	if t.expireIn != "" {
		if c.ExpiresIn, err = config.ParseDuration(t.expireIn); err != nil || c.ExpiresIn <= 0 {
			mistakes = append(mistakes, misuse("--expires-in: %.40q must be a duration, e.g. 90m, 12h or 2d", t.expireIn))
		}
	}
	if len(mistakes) > 0 {
		return errors.Join(mistakes...)
	}
	if !start.Now {
		t.start, t.missedStart = start.At, start.Missed
	}
	if c.StartIn = start.In; start.In == 0 {
		c.StartAt = t.start
	}
	switch {
	case expiry.Now:
		return misuse("--expires-at: \"now\" expires the campaign at once: use a later time")
	case expiry.In > 0 && !t.start.IsZero():
		return misuse("--expires-at: %.60q counts from now, but the campaign starts later: use a date, or --expires-in, which counts from the start", t.expireAt)
	case expiry.In > 0 && t.expireIn != "":
		return misuse("--expires-at and --expires-in both set the expiry: use one of them")
	case expiry.In > 0:
		c.ExpiresIn = expiry.In
	default:
		c.ExpiresAt, t.missedExpiry = expiry.At, expiry.Missed
	}
	if t.expiry = c.ExpiresAt; c.ExpiresIn > 0 {
		begins := t.now
		if t.start.After(begins) {
			begins = t.start
		}
		t.expiry = begins.Add(c.ExpiresIn)
	}
	return nil
}

// notes returns one line for the start and one line for the expiry of the campaign. Each line shows
// how the command has understood the flag. If a flag is not set, its line is left out.
func (t *sendTimes) notes() (lines []string) {
	for _, x := range []struct {
		verb, flag string
		at         time.Time
	}{{"starts", t.startAt, t.start}, {"expires", cmp.Or(t.expireAt, t.expireIn), t.expiry}} {
		if x.flag != "" && !x.at.IsZero() {
			lines = append(lines, "the campaign "+x.verb+" "+t.describe(x.at))
		}
	}
	return lines
}

// describe returns a time in two forms: in the zone of the campaign, as people read it, and in UTC.
func (t *sendTimes) describe(at time.Time) string {
	text := moment.Describe(at, t.now, t.zone)
	if _, offset := at.In(t.zone).Zone(); offset != 0 {
		text += " = " + console.FormatTime(at)
	}
	return text
}

// findMissed looks for the campaign of an earlier run of the same command. Suppose that a command
// with "--start-at 08:00" runs at 07:59 and again at 08:01. The second run would read 08:00 as
// 08:00 tomorrow, and derive another ID, so each recipient would get the message twice. If the
// campaign with today's start exists, findMissed sets c and t to the ID and the times of that
// campaign.
func (t *sendTimes) findMissed(ctx context.Context, b *backend, src *source, c *producer.Campaign) error {
	if t.missedStart.IsZero() && t.missedExpiry.IsZero() {
		return nil
	}
	earlier := *c
	if !t.missedStart.IsZero() {
		earlier.StartAt = t.missedStart
	}
	if !t.missedExpiry.IsZero() {
		earlier.ExpiresAt = t.missedExpiry
	}
	id, err := producer.ContentID(earlier, src.all())
	if err != nil {
		return err
	}
	earlier.ID = id
	if free, err := b.IDFree(ctx, id); err != nil || free {
		return err
	}
	*c, t.start, t.expiry = earlier, earlier.StartAt, earlier.ExpiresAt
	return nil
}
