package target

import (
	"errors"
	"regexp"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// maxMessage is how much of a message of AWS is told.
const maxMessage = 400

// short returns a message of AWS in one line, without what only AWS can read.
func short(text string) string {
	text = regexp.MustCompile(`\s*Encoded authorization failure message: \S+`).ReplaceAllString(text, "")
	text = strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ".")
	if runes := []rune(text); len(runes) > maxMessage {
		text = string(runes[:maxMessage-1]) + "…"
	}
	return text
}

// requestID returns what AWS calls the request that failed.
func requestID(err error) string {
	if answered, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return answered.RequestID
	}
	return ""
}

// Terse returns err without what the SDK puts before the errors of calls, where those were explained and say it already: "operation error EC2:
// DescribeImages, ". It is for whoever hands an error on.
func Terse(err error) error {
	if err == nil {
		return nil
	}
	if _, explained := errors.AsType[*callError](err); !explained {
		return err
	}
	text := regexp.MustCompile(`operation error [^:]+: \w+, `).ReplaceAllString(err.Error(), "")
	if text == err.Error() {
		return err
	}
	return &callError{text, []error{err}}
}
