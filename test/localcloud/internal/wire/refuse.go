package wire

import (
	"context"
	"errors"
	"net/http"
)

// What Accounts say of credentials that are not good. Errors of Identify wrap one of them.
var (
	ErrUnknownKey   = errors.New("unknown access key")
	ErrInvalidToken = errors.New("session token does not belong to the access key")
	ErrExpiredToken = errors.New("session token has expired")
)

// Identity is who has an access key.
type Identity struct {
	Account string // 12 digits
	ARN     string // of the user, or of the session of a role
}

// Accounts knows who has which access key.
type Accounts interface {
	// Identify returns the identity of an access key and, for temporary credentials, their session token. It must not wait. Its errors wrap
	// ErrUnknownKey, ErrInvalidToken or ErrExpiredToken.
	Identify(ctx context.Context, accessKey, sessionToken string) (Identity, error)
}

// refusal is why a signature is not accepted.
type refusal int

const (
	refusedMissing refusal = iota
	refusedIncomplete
	refusedMismatch
	refusedSkewed
	refusedKey
	refusedToken
	refusedExpired
)

// refusalOf is why Identify failed.
func refusalOf(err error) (refusal, bool) {
	switch {
	case errors.Is(err, ErrUnknownKey):
		return refusedKey, true
	case errors.Is(err, ErrInvalidToken):
		return refusedToken, true
	case errors.Is(err, ErrExpiredToken):
		return refusedExpired, true
	}
	return 0, false
}

// refuse returns what a service says of a flawed signature. The texts of the flaw are AWS's own for the services with a common front; EC2 and S3
// have others. From documentation and reports of users; no recording shows them.
func refuse(d dialect, f *flaw) *Error {
	var e *Error
	switch d {
	case dialectEC2:
		e = refuseEC2(f.kind)
	case dialectQuery:
		e = refuseQuery(f.kind)
	case dialectS3:
		e = refuseS3(f.kind)
	case dialectJSON:
		e = refuseCoral(f.kind)
	case dialectREST:
		e = refuseCoral(f.kind)
		e.Status = http.StatusForbidden
	}
	if f.message != "" && e.Message == "" {
		e.Message = f.message
	}
	return e
}

func refuseEC2(r refusal) *Error {
	switch r {
	case refusedMissing:
		return Errorf("MissingParameter", "The request must contain the parameter AWSAccessKeyId")
	case refusedIncomplete:
		return &Error{Status: http.StatusBadRequest, Code: "IncompleteSignature"}
	case refusedMismatch:
		return &Error{Status: http.StatusForbidden, Code: "SignatureDoesNotMatch"}
	case refusedExpired:
		return Errorf("RequestExpired", "Request has expired.")
	case refusedSkewed, refusedKey, refusedToken: // users with a wrong clock reported AuthFailure
	}
	return &Error{Status: http.StatusUnauthorized, Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials"}
}

func refuseQuery(r refusal) *Error {
	switch r {
	case refusedMissing:
		return &Error{Status: http.StatusForbidden, Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token"}
	case refusedIncomplete:
		return &Error{Status: http.StatusBadRequest, Code: "IncompleteSignature"}
	case refusedMismatch, refusedSkewed:
		return &Error{Status: http.StatusForbidden, Code: "SignatureDoesNotMatch"}
	case refusedExpired:
		return &Error{Status: http.StatusForbidden, Code: "ExpiredToken", Message: "The security token included in the request is expired"}
	case refusedKey, refusedToken:
	}
	return &Error{Status: http.StatusForbidden, Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid."}
}

func refuseCoral(r refusal) *Error {
	switch r {
	case refusedMissing:
		return Errorf("MissingAuthenticationTokenException", "Missing Authentication Token")
	case refusedIncomplete:
		return Errorf("IncompleteSignatureException", "")
	case refusedMismatch, refusedSkewed:
		return Errorf("InvalidSignatureException", "")
	case refusedExpired:
		return Errorf("ExpiredTokenException", "The security token included in the request is expired")
	case refusedKey, refusedToken:
	}
	return Errorf("UnrecognizedClientException", "The security token included in the request is invalid.")
}

func refuseS3(r refusal) *Error {
	e := &Error{Status: http.StatusForbidden}
	switch r {
	case refusedMissing:
		e.Code, e.Message = "AccessDenied", "Access Denied"
	case refusedIncomplete:
		e.Status, e.Code = http.StatusBadRequest, "AuthorizationHeaderMalformed"
	case refusedMismatch:
		e.Code = "SignatureDoesNotMatch"
	case refusedSkewed:
		e.Code, e.Message = "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
	case refusedExpired:
		e.Status, e.Code, e.Message = http.StatusBadRequest, "ExpiredToken", "The provided token has expired."
	case refusedToken:
		e.Status, e.Code, e.Message = http.StatusBadRequest, "InvalidToken", "The provided token is malformed or otherwise invalid."
	case refusedKey:
		e.Code, e.Message = "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
	}
	return e
}
