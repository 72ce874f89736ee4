package kit

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/iibake/iibake/bake"
	"github.com/iibake/iibake/test/localcloud/internal/state"
	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// Once calls do for the first request of an account with a client token, and remembers the answer that it returns: the identifier of what it
// made, or the whole output as JSON. A further request with the token and the same input gets that answer and replayed set; one with other input
// gets mismatch, or EC2's IdempotentParameterMismatch where that is nil. Without a token do is always called, and when it fails nothing is
// remembered. Once is called inside an Update; input is the pointer that the handler got, and its fields ClientToken and DryRun do not count.
func Once(r *state.Region, c *wire.Call, token *string, input any, mismatch *wire.Error, do func() (answer string, err error)) (answer string, replayed bool, err error) {
	if token == nil || *token == "" {
		answer, err = do()
		return answer, false, err
	}
	request, err := digest(input)
	if err != nil {
		return "", false, err
	}
	key := state.TokenKey(c.Account, c.Service+":"+c.Operation, *token)
	if t := r.Tokens.Get(key); t != nil {
		if t.Request == request {
			return t.Answer, true, nil
		}
		if mismatch == nil {
			mismatch = wire.Errorf("IdempotentParameterMismatch", "Client token already used before.")
		}
		return "", false, mismatch
	}
	if answer, err = do(); err != nil {
		return "", false, err
	}
	r.Tokens.Put(key, &state.Token{Request: request, Answer: answer, Made: r.Now()})
	return answer, false, nil
}

// digest names the content of an input.
func digest(input any) (string, error) {
	v := reflect.ValueOf(input).Elem()
	same := reflect.New(v.Type()).Elem()
	same.Set(v)
	for _, name := range []string{"ClientToken", "DryRun"} {
		if f := same.FieldByName(name); f.IsValid() {
			f.SetZero()
		}
	}
	body, err := json.Marshal(same.Interface())
	if err != nil {
		return "", fmt.Errorf("digest of %s: %w", v.Type().Name(), err)
	}
	return string(bake.DigestOf(body)), nil
}
