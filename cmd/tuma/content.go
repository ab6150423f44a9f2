package main

import (
	"cmp"
	"strings"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

// content describes what a campaign sends and who enqueued the campaign, in the JSON of `tuma
// report`. Its fields are those of `tuma status --json`.
type content struct {
	Body      string         `json:"body"`
	From      string         `json:"from"`
	Via       string         `json:"via"`
	Class     producer.Class `json:"class"`
	Country   string         `json:"country"`
	CreatedBy string         `json:"created_by"`
	Notes     []string       `json:"notes"`

	accounts []string // of the plan
	windows  map[string]string
}

func contentOf(st producer.Status) content {
	return content{Body: st.Body, From: st.From, Via: st.Via, Class: st.Class, Country: st.Country, CreatedBy: st.CreatedBy,
		Notes: append([]string{}, st.Notes...), accounts: st.Accounts, windows: st.Windows}
}

// contentTable returns the content as a table. It leaves out unknown facts.
func contentTable(c content) console.Table {
	g := console.Table{}
	line := func(name, text string) {
		if text != "" {
			g.Add(name, text)
		}
	}
	line("text", strings.Join(strings.Fields(c.Body), " "))
	line("sender", c.From)
	via := strings.Join(c.accounts, ", ")
	if c.Via == "" && via != "" {
		via += ", chosen by routes"
	}
	line("via", cmp.Or(c.Via, via))
	line("class", string(c.Class))
	line("country", c.Country)
	if c.windows != nil {
		line("sending hours", accounts.WindowsText(c.windows))
	}
	line("created by", c.CreatedBy)
	for _, note := range c.Notes {
		line("note", note)
	}
	return g
}
