package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// phrase is one entry of the list: a pattern that is nearly always a defect.
type phrase struct {
	text    string         // the text of the pattern in words.txt
	pattern *regexp.Regexp // matches the phrase and nothing else
	allowed *regexp.Regexp // matches good uses that the pattern also finds; may be nil
	instead string         // what to write instead of the phrase
}

// rules is the parsed list: two limits, and the phrases.
type rules struct {
	perThousand float64 // hits per 1,000 comment lines of .go and .lua files
	markdown    int     // hits in Markdown files
	phrases     []phrase
	any         *regexp.Regexp // matches if any phrase matches; for most blocks this one search is enough
}

// parseRules reads the list. Its format is described at the top of words.txt.
func parseRules(text string) (rules, error) {
	r := rules{perThousand: -1, markdown: -1}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var err error
		if name, value, ok := strings.Cut(line, ": "); ok && (name == "per-thousand" || name == "markdown") {
			if name == "markdown" {
				r.markdown, err = strconv.Atoi(value)
			} else {
				r.perThousand, err = strconv.ParseFloat(value, 64)
			}
		} else if good, ok := strings.CutPrefix(line, "except "); ok {
			if len(r.phrases) == 0 {
				err = errors.New("\"except\" must follow a phrase")
			} else {
				r.phrases[len(r.phrases)-1].allowed, err = compile(strings.TrimSpace(good))
			}
		} else if text, instead, ok := strings.Cut(line, "=>"); ok {
			p := phrase{text: strings.TrimSpace(text), instead: strings.TrimSpace(instead)}
			p.pattern, err = compile(p.text)
			r.phrases = append(r.phrases, p)
		} else {
			err = errors.New("must be a limit, a phrase with =>, or an exception")
		}
		if err != nil {
			return rules{}, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	if r.perThousand < 0 || r.markdown < 0 || len(r.phrases) == 0 {
		return rules{}, errors.New("must set per-thousand and markdown, and list phrases")
	}
	all := make([]string, len(r.phrases))
	for i, p := range r.phrases {
		all[i] = p.text
	}
	var err error
	r.any, err = compile(strings.Join(all, "|"))
	return r, err
}

// compile makes a pattern of whole words that ignores case. A space matches any white space.
func compile(text string) (*regexp.Regexp, error) {
	return regexp.Compile(`(?i)\b(?:` + strings.ReplaceAll(text, " ", `\s+`) + `)\b`)
}
