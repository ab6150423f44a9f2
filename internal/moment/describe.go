package moment

import (
	"fmt"
	"time"
)

// Describe returns a time in the zone as people read it, with its day and its distance from the
// present: "Sunday 29 November 2026 08:00 (EAT), tomorrow, in 13h 20m". It shows seconds only if they
// are not zero.
func Describe(t, now time.Time, zone *time.Location) string {
	t, now = t.In(zone), now.In(zone)
	form := "Monday 2 January 2006 15:04 (MST)"
	if t.Second() != 0 {
		form = "Monday 2 January 2006 15:04:05 (MST)"
	}
	text := t.Format(form)
	switch today := dateOf(now); dateOf(t) {
	case today:
		text += ", today"
	case today.plus(1):
		text += ", tomorrow"
	}
	if ahead := t.Sub(now); ahead > 0 {
		text += ", in " + span(ahead)
	}
	return text
}

// span formats a duration in its two largest units. It rounds the duration to the smaller of these units.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Round(time.Second).Seconds()))
	case d < 48*time.Hour:
		minutes := int(d.Round(time.Minute).Minutes())
		if minutes < 60 {
			return fmt.Sprintf("%dm", minutes)
		}
		return fmt.Sprintf("%dh %02dm", minutes/60, minutes%60)
	}
	hours := int(d.Round(time.Hour).Hours())
	return fmt.Sprintf("%d days %dh", hours/24, hours%24)
}
