package providers

import (
	"strings"
	"testing"
	"time"
)

func TestInfoCheck_NamesEachWrongField(t *testing.T) {
	t.Parallel()
	good := Info{Name: "kobo", Fingerprint: "00ff:user@x", MaxRecipients: 1}
	for name, tt := range map[string]struct {
		change func(*Info)
		want   []string // the start of each expected line; nil if the Info is valid
	}{
		"the smallest":            {func(*Info) {}, nil},
		"the largest":             {func(i *Info) { i.MaxRecipients, i.MaxSegments, i.KeyTTL = 100_000, 255, 1 }, nil},
		"no name":                 {func(i *Info) { i.Name = "" }, []string{"name"}},
		"a name of two words":     {func(i *Info) { i.Name = "my gateway" }, []string{"name"}},
		"no fingerprint":          {func(i *Info) { i.Fingerprint = "" }, []string{"fingerprint is empty"}},
		"a blank fingerprint":     {func(i *Info) { i.Fingerprint = " " }, []string{"fingerprint"}},
		"two words":               {func(i *Info) { i.Fingerprint = "a b" }, []string{"fingerprint"}},
		"a hash tag":              {func(i *Info) { i.Fingerprint = "a}b" }, []string{"fingerprint"}},
		"an open hash tag":        {func(i *Info) { i.Fingerprint = "a{b" }, []string{"fingerprint"}},
		"a line end":              {func(i *Info) { i.Fingerprint = "ab\n" }, []string{"fingerprint"}},
		"a long fingerprint":      {func(i *Info) { i.Fingerprint = strings.Repeat("a", 129) }, []string{"fingerprint"}},
		"no recipients":           {func(i *Info) { i.MaxRecipients = 0 }, []string{"max recipients"}},
		"fewer than none":         {func(i *Info) { i.MaxRecipients = -1 }, []string{"max recipients"}},
		"more than a rate grants": {func(i *Info) { i.MaxRecipients = 100_001 }, []string{"max recipients"}},
		"a negative key TTL":      {func(i *Info) { i.KeyTTL = -time.Second }, []string{"key TTL"}},
		"negative characters":     {func(i *Info) { i.MaxChars = -1 }, []string{"max chars"}},
		"negative segments":       {func(i *Info) { i.MaxSegments = -1 }, []string{"max segments"}},
		"too many segments":       {func(i *Info) { i.MaxSegments = 256 }, []string{"max segments"}},
		"a negative name length":  {func(i *Info) { i.SenderAlphaMax = -1 }, []string{"sender alpha max"}},
		"a negative digit count":  {func(i *Info) { i.SenderDigitsMax = -1 }, []string{"sender digits max"}},
		"everything": {func(i *Info) {
			*i = Info{KeyTTL: -1, MaxChars: -1, MaxSegments: -1, SenderAlphaMax: -1, SenderDigitsMax: -1}
		},
			[]string{"name", "fingerprint", "max recipients", "key TTL", "max chars", "max segments", "sender alpha max", "sender digits max"}},
	} {
		i := good
		tt.change(&i)
		var got []string
		if err := i.Check(); err != nil {
			got = strings.Split(err.Error(), "\n")
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: got the mistakes %q, want %q", name, got, tt.want)
			continue
		}
		for n, want := range tt.want {
			if !strings.HasPrefix(got[n], want) {
				t.Errorf("%s: mistake %d is %q, want one that begins with %q", name, n+1, got[n], want)
			}
		}
	}
}
