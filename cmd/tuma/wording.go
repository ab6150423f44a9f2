package main

import (
	"fmt"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// wording says what is worth knowing about a campaign's text before it is sent, a line
// each: which character makes it longer than it need be, and what --transliterate saves.
func wording(c producer.Campaign) []string {
	why, wide := sms.ExplainUCS2(c.Body)
	t, err := sms.ParseTemplate(c.Body)
	if !wide || err != nil {
		return nil
	}
	if len(t.Fields()) > 0 {
		// How long it gets, each recipient's values decide.
		if why.Untransliterable == 0 && c.Transliterate || why.Count > 3 && why.Count*10 > why.Characters {
			return nil
		}
		line := "every message is " + why.String()
		if c.Transliterate {
			line += keeps(why)
		} else if why.Untransliterable == 0 {
			line += "; --transliterate writes what it can in GSM-7"
		}
		return []string{line}
	}
	if c.Transliterate && why.Transliterated > 0 {
		_, changed := sms.Transliterate(c.Body)
		return []string{fmt.Sprintf("transliterated %s: %s in GSM-7 in place of %d in UCS-2",
			counted(changed, "character"), counted(why.Transliterated, "segment"), why.Segments)}
	}
	if !c.Transliterate && !why.Few() {
		return nil
	}
	line := fmt.Sprintf("a message takes %s, %s", counted(why.Segments, "segment"), why)
	switch {
	case c.Transliterate:
		line += keeps(why)
	case why.Transliterated > 0 && why.Transliterated < why.Segments:
		line += fmt.Sprintf("; with --transliterate %d", why.Transliterated)
	case why.Count > 1:
		line += fmt.Sprintf("; without them %d", why.Without)
	default:
		line += fmt.Sprintf("; without it %d", why.Without)
	}
	return []string{line}
}

// keeps says why nothing was transliterated.
func keeps(why sms.UCS2Cause) string {
	if why.Untransliterable == 0 {
		return "; transliterated it would take more"
	}
	return fmt.Sprintf("; nothing was transliterated: there is no other form of %s at character %d", sms.DescribeRune(why.Untransliterable), why.UntransliterableAt)
}
