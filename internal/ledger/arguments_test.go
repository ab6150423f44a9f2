package ledger

import (
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// scriptStructs are the structs of each script's arguments, in the order in which the script names
// them. A script that is not in the table takes no arguments.
var scriptStructs = map[string][]any{
	"account_check":      {accountCheckArgs{}},
	"account_hold":       {accountHoldArgs{}},
	"breaker":            {breakerArgs{}},
	"claim":              {claimArgs{}},
	"commit":             {commitArgs{}},
	"control":            {controlArgs{}},
	"doubt":              {doubtArgs{}},
	"exclude":            {excludeArgs{}},
	"index":              {indexArgs{}},
	"move":               {moveArgs{}, movedGenerationArgs{}, newBatchArgs{}},
	"narrow":             {narrowArgs{}},
	"optout_add":         {changeArgs{}},
	"optout_origin":      {originArgs{}},
	"optout_remove":      {changeArgs{}},
	"plan_page":          {planPageArgs{}, plannedBatchArgs{}},
	"plan_start":         {planStartArgs{}},
	"purge":              {purgeArgs{}},
	"quarantine":         {quarantineArgs{}},
	"quarantine_payload": {quarantinePayloadArgs{}},
	"release":            {releaseArgs{}},
	"retry_open":         {retryOpenArgs{}},
	"retry_step":         {retryStepArgs{}},
	"sent":               {sentArgs{}},
	"settle":             {settleArgs{}},
	"settle_and_claim":   {sharedArgs{}, nextArgs{}},
	"split":              {splitArgs{}},
	"top_up":             {}, // a list of pairs
	"unindex":            {unindexArgs{}},
	"wake":               {wakeArgs{}},
	"write_off":          {writeOffArgs{}},
}

var (
	// namedArguments matches the line in which a script names its arguments, or those of one item
	// of a list. settle_and_claim.lua names the positions within an item instead.
	namedArguments = regexp.MustCompile(`(?m)^ *local ([a-zA-Z_,\s]+?) = (?:unpack\(ARGV|1, 2, 3)`)
	namedInHeader  = regexp.MustCompile(`(?m)^--   ([a-z_]+)(?:  .*)?$`)
	rawArgument    = regexp.MustCompile(`ARGV\[\d+\]`)
	preludeLocal   = regexp.MustCompile(`(?m)^local (?:function )?([A-Za-z_0-9, ]+)`)
)

// fieldNames returns the names of a struct's fields as scripts write them.
func fieldNames(s any) (out []string) {
	for f := range reflect.TypeOf(s).Fields() {
		var b strings.Builder
		lower := false // whether the letter before is a lower-case one
		for _, r := range f.Name {
			if lower && unicode.IsUpper(r) {
				b.WriteByte('_')
			}
			b.WriteRune(unicode.ToLower(r))
			lower = unicode.IsLower(r)
		}
		out = append(out, b.String())
	}
	return out
}

func TestScriptsNameTheirArgumentsAsGoDoes(t *testing.T) {
	t.Parallel()
	shared := map[string]bool{}
	for _, m := range preludeLocal.FindAllStringSubmatch(mustSource("prelude"), -1) {
		for name := range strings.FieldsFuncSeq(m[1], func(r rune) bool { return r == ',' || r == ' ' }) {
			shared[name] = true
		}
	}
	files, err := filepath.Glob("*.lua")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".lua")
		source := mustSource(name)
		structs, ok := scriptStructs[name]
		if name == "prelude" || !ok {
			if strings.Contains(source, "unpack(ARGV") {
				t.Errorf("%s takes arguments; add its struct to scriptStructs", file)
			}
			continue
		}
		if raw := rawArgument.FindString(source); raw != "" {
			t.Errorf("%s reads %s; it must name its arguments", file, raw)
		}
		var header []string
		top, _, _ := strings.Cut(source, "\nlocal ")
		for _, m := range namedInHeader.FindAllStringSubmatch(top, -1) {
			header = append(header, m[1])
		}
		named := namedArguments.FindAllStringSubmatch(source, -1)
		if len(named) != len(structs) {
			t.Errorf("%s names %d lists of arguments, want one for each of the %d structs", file, len(named), len(structs))
			continue
		}
		for i, s := range structs {
			want := fieldNames(s)
			got := strings.FieldsFunc(strings.ToLower(named[i][1]), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
			if !slices.Equal(got, want) {
				t.Errorf("%s names its arguments\n%v; the fields of %T are\n%v", file, got, s, want)
			}
			if len(header) < len(want) || !slices.Equal(header[:len(want)], want) {
				t.Errorf("the comment of %s lists the arguments\n%v; want\n%v", file, header, want)
			} else {
				header = header[len(want):]
			}
			for _, n := range got {
				if shared[n] {
					t.Errorf("%s: the argument %s hides a local of prelude.lua", file, n)
				}
			}
		}
	}
}

func TestScriptArgsInTheOrderOfTheFields(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_764_323_173_000)
	got := scriptArgs(struct {
		Text   string
		Word   campaign.SettleReason
		N      int
		For    time.Duration
		At, No time.Time
		Yes    bool
		Jitter float64
		Blob   []byte
	}{"a", campaign.SettleAnswer, 2, 3 * time.Second, at, time.Time{}, true, 0.5, []byte("b")})
	want := []any{"a", "answer", int64(2), int64(3000), int64(1_764_323_173_000), int64(0), 1, "0.500000", []byte("b")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("scriptArgs = %v, want %v", got, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic for a field of a kind that no script reads")
		}
	}()
	scriptArgs(struct{ F func() }{})
}
