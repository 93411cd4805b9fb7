package awssim

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// protocol is a wire protocol of AWS.
type protocol int

const (
	jsonProtocol  protocol = iota // KMS, Organizations, SSM: AWS JSON 1.1; RAM, Account Management: REST with JSON
	ec2Protocol                   // EC2's query protocol
	queryProtocol                 // STS, IAM, Auto Scaling: AWS query
)

// operations are all operations by service and name.
var operations map[string]map[string]operation

func init() {
	operations = map[string]map[string]operation{
		"ec2": ec2Operations, "kms": kmsOperations, "sts": stsOperations,
		"organizations": organizationsOperations, "iam": iamOperations, "ssm": ssmOperations,
		"autoscaling": asgOperations, "ram": ramOperations, "account": accountOperations,
	}
}

func protocolOf(service string) protocol {
	switch service {
	case "ec2":
		return ec2Protocol
	case "sts", "iam", "autoscaling":
		return queryProtocol
	default:
		return jsonProtocol
	}
}

// protocolOfRequest is the protocol in which to reject a request, also of a service that
// isn't simulated: query protocols send forms. Fact: ERR-7.
func protocolOfRequest(service string, r *http.Request) protocol {
	if _, known := operations[service]; !known && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return queryProtocol
	}
	return protocolOf(service)
}

// requestID is the same for all responses, so that a replay returns the same bytes.
const requestID = "00000000-0000-4000-8000-000000000000"

var namespaces = map[string]string{
	"ec2": "http://ec2.amazonaws.com/doc/2016-11-15/",
	"sts": "https://sts.amazonaws.com/doc/2011-06-15/",
	"iam": "https://iam.amazonaws.com/doc/2010-05-08/",

	"autoscaling": "http://autoscaling.amazonaws.com/doc/2011-01-01/",
}

// success encodes a response. nil is the response of an operation that returns nothing.
func (p protocol) success(c *call, answer any) response {
	if p == jsonProtocol {
		body := []byte{}
		if answer != nil {
			var err error
			if body, err = json.Marshal(answer); err != nil {
				return p.failure(fmt.Errorf("encoding the answer to %s: %w", c.operation, err))
			}
		}
		return response{status: http.StatusOK, contentType: "application/x-amz-json-1.1", body: body}
	}
	fields, err := xmlFields(answer)
	if err != nil {
		return p.failure(fmt.Errorf("encoding the answer to %s: %w", c.operation, err))
	}
	var body bytes.Buffer
	body.WriteString(xml.Header)
	switch {
	case p == queryProtocol && answer == nil:
		fmt.Fprintf(&body, "<%[1]sResponse xmlns=%[2]q><ResponseMetadata><RequestId>%[3]s</RequestId></ResponseMetadata></%[1]sResponse>",
			c.operation, namespaces[c.service], requestID)
	case p == queryProtocol:
		fmt.Fprintf(&body, "<%[1]sResponse xmlns=%[2]q><%[1]sResult>%[3]s</%[1]sResult><ResponseMetadata><RequestId>%[4]s</RequestId></ResponseMetadata></%[1]sResponse>",
			c.operation, namespaces[c.service], fields, requestID)
	case answer == nil:
		fmt.Fprintf(&body, "<%[1]sResponse xmlns=%[2]q><requestId>%[3]s</requestId><return>true</return></%[1]sResponse>",
			c.operation, namespaces[c.service], requestID)
	default:
		fmt.Fprintf(&body, "<%[1]sResponse xmlns=%[2]q><requestId>%[3]s</requestId>%[4]s</%[1]sResponse>",
			c.operation, namespaces[c.service], requestID, fields)
	}
	return response{status: http.StatusOK, contentType: "text/xml;charset=UTF-8", body: body.Bytes()}
}

// xmlFields encodes the fields of a struct without an enclosing element.
func xmlFields(answer any) ([]byte, error) {
	if answer == nil {
		return nil, nil
	}
	var buffer bytes.Buffer
	encoder := xml.NewEncoder(&buffer)
	if err := encoder.EncodeElement(answer, xml.StartElement{Name: xml.Name{Local: "fields"}}); err != nil {
		return nil, err
	}
	fields := bytes.TrimPrefix(buffer.Bytes(), []byte("<fields>"))
	return bytes.TrimSuffix(fields, []byte("</fields>")), nil
}

// failure encodes an error. An error other than [*Error] is a bug of the simulator.
func (p protocol) failure(err error) response {
	var problem *Error
	if !errors.As(err, &problem) {
		problem = &Error{Status: http.StatusNotImplemented, Code: "SimulatorBug", Message: err.Error()}
	}
	var body bytes.Buffer
	contentType := "text/xml;charset=UTF-8"
	switch p {
	case jsonProtocol:
		contentType = "application/x-amz-json-1.1"
		text, _ := json.Marshal(map[string]string{"__type": problem.Code, "message": problem.Message}) // strings always encode
		body.Write(text)
	case ec2Protocol:
		fmt.Fprintf(&body, "%s<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>",
			xml.Header, problem.Code, escaped(problem.Message), requestID)
	default:
		fmt.Fprintf(&body, "%s<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>",
			xml.Header, problem.Code, escaped(problem.Message), requestID)
	}
	return response{status: problem.Status, contentType: contentType, body: body.Bytes()}
}

func escaped(text string) string {
	var buffer bytes.Buffer
	_ = xml.EscapeText(&buffer, []byte(text)) // a buffer takes everything
	return buffer.String()
}
