package fault

import (
	"net/http"

	"github.com/iibake/iibake/test/localcloud/internal/wire"
)

// throttled is what a service says to who asks too often. EC2 documents its code; that its status is 503 is seen in logs of its users. That of
// EBS direct and of Systems Manager is in their models, that of Elastic Load Balancing in its documentation; the Query services say Throttling
// in logs of their users.
func throttled(service string) *wire.Error {
	switch service {
	case "ec2":
		return &wire.Error{Status: http.StatusServiceUnavailable, Code: "RequestLimitExceeded", Message: "Request limit exceeded."}
	case "ebs":
		return &wire.Error{
			Status: http.StatusBadRequest, Code: "RequestThrottledException", Reason: "ACCOUNT_THROTTLED",
			Message: "The number of API requests has exceeded the maximum allowed API request throttling limit.",
		}
	case "ssm", "elasticloadbalancing":
		return wire.Errorf("ThrottlingException", "Rate exceeded")
	case "s3":
		return &wire.Error{Status: http.StatusServiceUnavailable, Code: "SlowDown", Message: "Please reduce your request rate."}
	default:
		return wire.Errorf("Throttling", "Rate exceeded")
	}
}

// failed is a service's error with a status of 500 or 503. The codes are those of the services' models and lists of common errors.
func failed(service, how string) *wire.Error {
	e := &wire.Error{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: "An internal failure has occurred"}
	if how == unavailable {
		e = &wire.Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "Service is unavailable."}
	}
	switch service + " " + how {
	case "ec2 internal":
		e.Code, e.Message = "InternalError", "An internal error has occurred"
	case "ec2 unavailable":
		e.Code, e.Message = "Unavailable", "The service is unavailable. Please try again shortly."
	case "ebs internal":
		e.Code, e.Message = "InternalServerException", "An internal error has occurred."
	case "ssm internal":
		e.Code, e.Message = "InternalServerError", "An error occurred on the server side."
	case "monitoring internal":
		e.Code = "InternalServiceError"
	case "s3 internal":
		e.Code, e.Message = "InternalError", "We encountered an internal error. Please try again."
	}
	return e
}
