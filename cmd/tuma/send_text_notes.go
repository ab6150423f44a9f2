package main

import (
	"fmt"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// textNotes returns notes on a campaign's text. They name the character that makes the message UCS-2
// and therefore longer, and the number of segments that --transliterate saves.
func textNotes(c producer.Campaign) []string {
	why, wide := sms.ExplainUCS2(c.Body)
	t, err := sms.ParseTemplate(c.Body)
	if !wide || err != nil {
		return nil
	}
	if len(t.Fields()) > 0 {
		// The number of segments depends on the recipient's values, so the note does not name the number.
		// A note is not useful if --transliterate replaces all characters outside GSM-7, or if the text has
		// many such characters.
		if why.Untransliterable == 0 && c.Transliterate || why.Count > 3 && why.Count*10 > why.Characters {
			return nil
		}
		line := "every message is " + why.String()
		if c.Transliterate {
			line += transliterationNote(why)
		} else if why.Untransliterable == 0 {
			line += "; --transliterate replaces such characters where GSM-7 has an equivalent"
		}
		return []string{line}
	}
	if c.Transliterate && why.Transliterated > 0 {
		_, changed := sms.Transliterate(c.Body)
		return []string{fmt.Sprintf("transliterated %s: the message has %s in GSM-7 instead of %d in UCS-2",
			console.Plural(changed, "character"), console.Plural(why.Transliterated, "segment"), why.Segments)}
	}
	if !c.Transliterate && !why.Few() {
		return nil
	}
	line := fmt.Sprintf("a message takes %s, %s", console.Plural(why.Segments, "segment"), why)
	switch {
	case c.Transliterate:
		line += transliterationNote(why)
	case why.Transliterated > 0 && why.Transliterated < why.Segments:
		line += fmt.Sprintf("; with --transliterate the number of segments is %d", why.Transliterated)
	case why.Count > 1:
		line += fmt.Sprintf("; without these characters the number of segments is %d", why.Without)
	default:
		line += fmt.Sprintf("; without this character the number of segments is %d", why.Without)
	}
	return []string{line}
}

// transliterationNote returns why the text was not transliterated.
func transliterationNote(why sms.UCS2Cause) string {
	if why.Untransliterable == 0 {
		return "; not transliterated: the transliterated text would take more segments"
	}
	return fmt.Sprintf("; not transliterated: GSM-7 has no equivalent of %s at character %d", sms.DescribeRune(why.Untransliterable), why.UntransliterableAt)
}
