package policy

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestPublicStatements checks that a statement counts as public unless it is
// known to be restricted.
func TestPublicStatements(t *testing.T) {
	statement := func(version, effect, principal, condition string) string {
		s := `{"Sid":"S","Effect":"` + effect + `",` + principal + `,"Action":"kms:Decrypt","Resource":"*"`
		if condition != "" {
			s += `,"Condition":` + condition
		}
		return strings.ReplaceAll(`{"Version":"`+version+`","Statement":[`+s+`}]}`, "'", `"`)
	}
	const everybody = `'Principal':{'AWS':'*'}`
	type row struct {
		name, document string
		public         bool
	}
	var rows []row
	who := func(public bool, name, principal, condition string) {
		rows = append(rows, row{name, statement("2012-10-17", "Allow", principal, condition), public})
	}
	const closed, public = false, true
	when := func(is bool, condition string) { who(is, condition, everybody, condition) }

	who(public, "everybody", everybody, "")
	who(public, "everybody, short", `'Principal':'*'`, "")
	who(public, "everybody in a list", `'Principal':{'AWS':['arn:aws:iam::111111111111:root','*']}`, "")
	who(public, "everybody beside a service", `'Principal':{'Service':'ec2.amazonaws.com','AWS':'*'}`, "")
	who(public, "everybody but one", `'NotPrincipal':{'AWS':'arn:aws:iam::111111111111:root'}`, "")
	who(closed, "everybody but one, of an account", `'NotPrincipal':{'AWS':'arn:aws:iam::111111111111:root'}`, `{'StringEquals':{'aws:PrincipalAccount':'111111111111'}}`)
	who(public, "everybody but one, through EC2", `'NotPrincipal':{'AWS':'arn:aws:iam::111111111111:root'}`, `{'StringLike':{'kms:ViaService':'ec2.*.amazonaws.com'}}`)
	who(public, "any service", `'Principal':{'Service':'*'}`, "")
	who(public, "a role of any account", `'Principal':{'AWS':'arn:aws:iam::*:role/x'}`, "")
	who(closed, "one account", `'Principal':{'AWS':'arn:aws:iam::222222222222:root'}`, "")
	who(closed, "a service", `'Principal':{'Service':'sns.amazonaws.com'}`, "")
	who(closed, "a deleted role", `'Principal':{'AWS':'AROAEXAMPLE12345678'}`, "")
	who(public, "NotAction is as public", everybody+`,'NotAction':'kms:Encrypt'`, "")
	who(public, "federated", `'Principal':{'Federated':'accounts.google.com'}`, "")
	who(public, "federated beside an account", `'Principal':{'AWS':'111111111111','Federated':'arn:aws:iam::111111111111:saml-provider/x'}`, "")
	who(public, "federated, through EC2", `'Principal':{'Federated':'accounts.google.com'}`, `{'StringLike':{'kms:ViaService':'ec2.*.amazonaws.com'}}`)
	who(closed, "federated, of an audience", `'Principal':{'Federated':'accounts.google.com'}`, `{'StringEquals':{'accounts.google.com:aud':'66677788899900pro0'}}`)
	who(public, "federated, of any audience", `'Principal':{'Federated':'accounts.google.com'}`, `{'StringLike':{'accounts.google.com:aud':'*'}}`)
	who(public, "federated, of an audience if there is one", `'Principal':{'Federated':'accounts.google.com'}`, `{'StringEqualsIfExists':{'accounts.google.com:aud':'66677788899900pro0'}}`)
	who(public, "everybody with an audience", everybody, `{'StringEquals':{'accounts.google.com:aud':'66677788899900pro0'}}`)
	rows = append(rows, row{"deny everybody", statement("2012-10-17", "Deny", everybody, ""), closed})

	// Organizations.
	when(closed, `{'StringEquals':{'aws:PrincipalOrgID':'o-exampleorgid'}}`)
	when(closed, `{'StringEquals':{'AWS:principalORGid':['o-exampleorgid']}}`)
	when(closed, `{'StringLike':{'aws:PrincipalOrgID':'o-exampleorgid'}}`)
	when(closed, `{'ForAnyValue:StringEquals':{'aws:PrincipalOrgID':['o-exampleorgid','o-anotherorg1']}}`)
	when(closed, `{'StringEqualsIgnoreCase':{'aws:PrincipalOrgID':'o-exampleorgid'}}`)
	when(public, `{'StringLike':{'aws:PrincipalOrgID':'o-*'}}`)
	when(public, `{'StringLike':{'aws:PrincipalOrgID':'o-exampleorgi?'}}`)
	when(public, `{'StringLike':{'aws:PrincipalOrgID':['o-exampleorgid','*']}}`)
	when(public, `{'StringEquals':{'aws:PrincipalOrgID':[]}}`)
	when(public, `{'StringEquals':{'aws:PrincipalOrgID':''}}`)
	when(public, `{'StringEqualsIfExists':{'aws:PrincipalOrgID':'o-exampleorgid'}}`)
	when(public, `{'ForAnyValue:StringEqualsIfExists':{'aws:PrincipalOrgID':'o-exampleorgid'}}`)
	when(public, `{'ForAllValues:StringEquals':{'aws:PrincipalOrgID':'o-exampleorgid'}}`)
	when(public, `{'StringNotEquals':{'aws:PrincipalOrgID':'o-exampleorgid'}}`)
	when(public, `{'StringEqual':{'aws:PrincipalOrgID':'o-exampleorgid'}}`)
	when(public, `{'stringequals':{'aws:PrincipalOrgID':'o-exampleorgid'}}`)
	when(public, `{'ArnEquals':{'aws:PrincipalOrgID':'o-exampleorgid'}}`)
	when(public, `{'Null':{'aws:PrincipalOrgID':'false'}}`)
	when(public, `{'Bool':{'aws:PrincipalOrgID':'true'}}`)
	when(public, `{'StringEquals':{'aws:PrincipalOrgID':'${aws:PrincipalOrgID}'}}`)
	when(public, `{'StringEquals':{'aws:PrincipalOrg':'o-exampleorgid'}}`)
	when(closed, `{'StringEquals':{'aws:SourceOrgID':'o-exampleorgid'}}`)
	when(public, `{'StringLike':{'aws:SourceOrgID':'o-*'}}`)

	// Organizational units.
	when(closed, `{'ForAnyValue:StringLike':{'aws:PrincipalOrgPaths':'o-exampleorgid/*/ou-ab12-11111111/*'}}`)
	when(closed, `{'ForAnyValue:StringEquals':{'aws:PrincipalOrgPaths':['o-exampleorgid/r-ab12/','o-anotherorg1/r-ab12/']}}`)
	when(closed, `{'ForAnyValue:StringLike':{'aws:SourceOrgPaths':'o-exampleorgid/*'}}`)
	when(public, `{'ForAllValues:StringLike':{'aws:PrincipalOrgPaths':'o-exampleorgid/*'}}`)
	when(public, `{'ForAnyValue:StringLike':{'aws:PrincipalOrgPaths':'*/ou-ab12-11111111/*'}}`)
	when(public, `{'ForAnyValue:StringLike':{'aws:PrincipalOrgPaths':['o-exampleorgid/*','o-*/*']}}`)
	when(public, `{'ForAnyValue:StringLike':{'aws:PrincipalOrgPaths':'o-exampleorgid*'}}`)
	when(public, `{'ForAnyValue:StringNotLike':{'aws:PrincipalOrgPaths':'o-exampleorgid/*'}}`)

	// Accounts.
	when(closed, `{'StringEquals':{'kms:CallerAccount':'111111111111','kms:ViaService':'ec2.eu-west-1.amazonaws.com'}}`)
	when(closed, `{'StringEquals':{'kms:CallerAccount':111111111111}}`)
	when(closed, `{'StringEquals':{'aws:PrincipalAccount':['111111111111','222222222222']}}`)
	when(closed, `{'StringEquals':{'aws:principalaccount':['111111111111','222222222222']},'Bool':{'aws:SecureTransport':true}}`)
	when(closed, `{'StringEquals':{'aws:SourceAccount':'111111111111'}}`)
	when(public, `{'StringLike':{'aws:PrincipalAccount':'1111111111??'}}`)
	when(public, `{'StringLike':{'aws:PrincipalAccount':['111111111111','*']}}`)
	when(public, `{'StringEquals':{'aws:PrincipalAccount':'11111111111'}}`)
	when(public, `{'StringNotEquals':{'aws:PrincipalAccount':'111111111111'}}`)
	when(public, `{'NumericEquals':{'aws:PrincipalAccount':'111111111111'}}`)
	when(public, `{'StringEqualsIfExists':{'kms:CallerAccount':'111111111111'}}`)
	when(public, `{'StringEquals':{'aws:ResourceAccount':'111111111111'}}`)

	// Principals of named accounts.
	when(closed, `{'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::111111111111:role/*'}}`)
	when(closed, `{'ArnEquals':{'aws:PrincipalArn':['arn:aws:iam::111111111111:role/x','arn:aws:iam::222222222222:user/y']}}`)
	when(closed, `{'ArnLike':{'AWS:PRINCIPALARN':'arn:*:iam::111111111111:*'}}`)
	when(closed, `{'ForAnyValue:ArnLike':{'aws:PrincipalArn':'arn:aws:iam::111111111111:root'}}`)
	when(closed, `{'StringEquals':{'aws:PrincipalArn':'arn:aws:iam::111111111111:role/x'}}`)
	when(closed, `{'StringLike':{'aws:PrincipalArn':'arn:aws:iam::111111111111:role/team/*'}}`)
	when(closed, `{'StringLike':{'aws:PrincipalArn':'arn:aws:sts::111111111111:assumed-role/x/*'}}`)
	when(closed, `{'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::111111111111:role/${aws:PrincipalTag/team}'}}`)
	when(closed, `{'ArnLike':{'aws:SourceArn':'arn:aws:sns:*:111111111111:*'}}`)
	when(public, `{'ArnLike':{'aws:SourceArn':'arn:aws:s3:::bucket'}}`)
	when(public, `{'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::*:role/x'}}`)
	when(public, `{'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::11111111111?:role/x'}}`)
	when(public, `{'ArnLike':{'aws:PrincipalArn':['arn:aws:iam::111111111111:role/x','arn:aws:iam::*:role/x']}}`)
	when(public, `{'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::${aws:PrincipalAccount}:role/x'}}`)
	when(public, `{'ArnLike':{'aws:PrincipalArn':'arn:${aws:x}:111111111111:role/x'}}`)
	when(public, `{'ArnLike':{'aws:PrincipalArn':'arn:aws:${aws:x:111111111111:role/x}:iam::*:role/x'}}`)
	when(public, `{'ArnLike':{'aws:PrincipalArn':'*'}}`)
	when(public, `{'StringLike':{'aws:PrincipalArn':'*'}}`)
	when(public, `{'StringLike':{'aws:PrincipalArn':'*:111111111111:role/x'}}`)
	when(public, `{'StringLike':{'aws:PrincipalArn':'arn:*:iam::111111111111:role/x'}}`) // a role's path may have colons
	when(public, `{'StringLike':{'aws:PrincipalArn':'arn:aws:iam:*:111111111111:role/x'}}`)
	when(public, `{'ArnNotLike':{'aws:PrincipalArn':'arn:aws:iam::111111111111:role/x'}}`)
	when(public, `{'ArnLikeIfExists':{'aws:PrincipalArn':'arn:aws:iam::111111111111:role/x'}}`)
	when(public, `{'ForAllValues:ArnLike':{'aws:PrincipalArn':'arn:aws:iam::111111111111:role/x'}}`)

	// Networks.
	when(closed, `{'StringEquals':{'aws:SourceVpce':'vpce-0a1b2c3d'}}`)
	when(closed, `{'StringEquals':{'aws:sourceVpce':['vpce-0a1b2c3d4e5f60718','vpce-0a1b2c3d']}}`)
	when(closed, `{'StringEquals':{'aws:SourceVpc':'vpc-0a1b2c3d4e5f60718'}}`)
	when(public, `{'StringLike':{'aws:SourceVpce':'vpce-*'}}`)
	when(public, `{'StringLike':{'aws:SourceVpc':['vpc-0a1b2c3d4e5f60718','*']}}`)
	when(public, `{'StringNotEquals':{'aws:SourceVpce':'vpce-0a1b2c3d'}}`)
	when(public, `{'StringEqualsIfExists':{'aws:SourceVpc':'vpc-0a1b2c3d4e5f60718'}}`)
	when(public, `{'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}}`)

	// Conditions that restrict no principal.
	when(public, `{}`)
	when(public, `{'StringEquals':{}}`)
	when(public, `{'StringLike':{'kms:ViaService':'ec2.*.amazonaws.com'}}`)
	when(public, `{'Bool':{'kms:GrantIsForAWSResource':true}}`)
	when(public, `{'StringEquals':{'aws:PrincipalType':'AssumedRole'}}`)
	when(closed, `{'StringEquals':{'aws:PrincipalType':'AssumedRole'},'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::111111111111:role/*'}}`)

	for condition, is := range map[string]bool{ // the older language has no variables: this is an unknown name that no principal has
		`{'StringEquals':{'aws:PrincipalOrgID':'${aws:PrincipalOrgID}'}}`:                    public,
		`{'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::${aws:PrincipalAccount}:role/x'}}`:     public,
		`{'StringLike':{'aws:PrincipalArn':'arn:aws:iam::111111111111:role/${aws:userid}'}}`: closed,
		`{'StringEquals':{'aws:PrincipalAccount':'111111111111'}}`:                           closed,
	} {
		rows = append(rows, row{"2008: " + condition, statement("2008-10-17", "Allow", everybody, condition), is})
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			document := mustParse(t, strings.Replace(r.document, `,"NotAction":"kms:Encrypt","Action":"kms:Decrypt"`, `,"NotAction":"kms:Encrypt"`, 1))
			if got := document.PublicStatements(); (len(got) > 0) != r.public {
				t.Errorf("public statements: %v", got)
			}
			problems := strings.Join(document.Problems(), "\n")
			if r.public != (problems != "") {
				t.Errorf("problems: %s", problems)
			}
		})
	}
	// An unreadable statement isn't known to be closed.
	for _, unread := range []string{`{`, `{"Effect":"Allow","Principal":{"AWS":[["*"]]},"Action":"*","Resource":"*"}`, `{"Sid":"S","Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":["o-exampleorgid",["o-exampleorgid"]]}}}`} {
		if got := (Document{Statements: []json.RawMessage{json.RawMessage(unread)}}).PublicStatements(); len(got) != 1 {
			t.Errorf("%s: %v", unread, got)
		}
	}
}
