package accounts

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/script/scripttest"
)

func TestScriptArgs_HaveTheNamesOfTheGoFields(t *testing.T) {
	t.Parallel()
	scripttest.Arguments(t, luaFiles, "", map[string][]any{
		"check":    {checkArgs{}},
		"breaker":  {breakerArgs{}},
		"hold":     {holdArgs{}},
		"card":     {cardArgs{}},
		"settings": {settingsArgs{}},
		"refusal":  {refusalArgs{}},
	})
}

func TestScriptsHaveAGoFileOfTheirName(t *testing.T) {
	t.Parallel()
	scripttest.SameNames(t, luaFiles)
}
