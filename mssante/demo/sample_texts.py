"""The sample letter's XML and HTML, as templates: `$NAME` is replaced by an escaped value."""

README = """\
Archive IHE XDM d’essai (patient fictif), produite par le logiciel libre mssante.\r
Ouvrir INDEX.HTM dans un navigateur.\r
"""

INDEX = """\
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML Basic 1.1//EN" "http://www.w3.org/TR/xhtml-basic/xhtml-basic11.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="fr">
<head><title>$LABEL</title></head>
<body>
<h1>$LABEL</h1>
<p>Patient fictif : $FAMILY $GIVEN, né(e) le $BORN_SHOWN</p>
<ul>
<li><a href="IHE_XDM/SUBSET01/$FILE">Document CDA</a></li>
<li><a href="README.TXT">Lisez-moi</a></li>
</ul>
</body>
</html>
"""

CDA = """\
<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <realmCode code="FR"/>
  <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
  <templateId root="2.16.840.1.113883.2.8.2.1"/>
  <templateId root="1.2.250.1.213.1.1.1.1"/>
  <id root="$DOCUMENT_ID"/>
  <code code="$CODE" displayName="$LABEL" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC"/>
  <title>$LABEL</title>
  <effectiveTime value="$TIME_ZONED"/>
  <confidentialityCode code="N" displayName="Normal" codeSystem="2.16.840.1.113883.5.25"/>
  <languageCode code="fr-FR"/>
  <setId root="$SET_ID"/>
  <versionNumber value="1"/>
  <recordTarget>
    <patientRole>
      <id root="$INS_OID" extension="$INS"/>
      <patient classCode="PSN">
        <name><family qualifier="BR">$FAMILY</family><given>$GIVEN</given></name>
        <administrativeGenderCode code="$SEX" codeSystem="2.16.840.1.113883.5.1"/>
        <birthTime value="$BORN"/>
      </patient>
    </patientRole>
  </recordTarget>
  <author>
    <time value="$TIME_ZONED"/>
    <assignedAuthor>
      <id root="1.2.250.1.71.4.2.1" extension="899900000009"/>
      <assignedPerson><name><prefix>DR</prefix><family>FICTIF</family><given>Camille</given></name></assignedPerson>
      <representedOrganization>
        <id root="1.2.250.1.71.4.2.2" extension="1990000001"/>
        <name>CENTRE HOSPITALIER FICTIF</name>
      </representedOrganization>
    </assignedAuthor>
  </author>
  <custodian>
    <assignedCustodian>
      <representedCustodianOrganization>
        <id root="1.2.250.1.71.4.2.2" extension="1990000001"/>
        <name>CENTRE HOSPITALIER FICTIF</name>
      </representedCustodianOrganization>
    </assignedCustodian>
  </custodian>
  <componentOf>
    <encompassingEncounter>
      <effectiveTime><low value="$TIME_ZONED"/></effectiveTime>
    </encompassingEncounter>
  </componentOf>
  <component>
    <nonXMLBody>
      <text mediaType="application/pdf" representation="B64">$PDF</text>
    </nonXMLBody>
  </component>
</ClinicalDocument>
"""

# ebRIM 3.0, with the classification schemes of IHE ITI TF-3 §4.2.5.
METADATA = """\
<?xml version="1.0" encoding="UTF-8"?>
<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
    xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">
  <RegistryObjectList>
    <ExtrinsicObject id="Document01" mimeType="text/xml"
        objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
        status="urn:oasis:names:tc:ebxml-regrep:StatusType:Approved">
      <Slot name="creationTime"><ValueList><Value>$TIME</Value></ValueList></Slot>
      <Slot name="hash"><ValueList><Value>$HASH</Value></ValueList></Slot>
      <Slot name="languageCode"><ValueList><Value>fr-FR</Value></ValueList></Slot>
      <Slot name="size"><ValueList><Value>$SIZE</Value></ValueList></Slot>
      <Slot name="sourcePatientId">
        <ValueList><Value>$INS^^^&amp;$INS_OID&amp;ISO^NH</Value></ValueList>
      </Slot>
      <Slot name="sourcePatientInfo">
        <ValueList>
          <Value>PID-5|$FAMILY^$GIVEN^^^^^L</Value>
          <Value>PID-7|$BORN</Value>
          <Value>PID-8|$SEX</Value>
        </ValueList>
      </Slot>
      <Slot name="URI"><ValueList><Value>$FILE</Value></ValueList></Slot>
      <Name><LocalizedString xml:lang="FR" value="$LABEL"/></Name>
      <Classification id="Type01" classifiedObject="Document01" nodeRepresentation="$CODE"
          classificationScheme="urn:uuid:f0306f51-975f-434e-a61c-c59651d33983">
        <Slot name="codingScheme"><ValueList><Value>2.16.840.1.113883.6.1</Value></ValueList></Slot>
        <Name><LocalizedString value="$LABEL"/></Name>
      </Classification>
      <Classification id="Format01" classifiedObject="Document01"
          nodeRepresentation="urn:ihe:iti:xds-sd:pdf:2008"
          classificationScheme="urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d">
        <Slot name="codingScheme"><ValueList><Value>1.3.6.1.4.1.19376.1.2.3</Value></ValueList></Slot>
        <Name><LocalizedString value="PDF dans un CDA"/></Name>
      </Classification>
      <Classification id="Confidentiality01" classifiedObject="Document01" nodeRepresentation="N"
          classificationScheme="urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f">
        <Slot name="codingScheme"><ValueList><Value>2.16.840.1.113883.5.25</Value></ValueList></Slot>
        <Name><LocalizedString value="Normal"/></Name>
      </Classification>
      <ExternalIdentifier id="Patient01" registryObject="Document01"
          identificationScheme="urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
          value="$INS^^^&amp;$INS_OID&amp;ISO^NH">
        <Name><LocalizedString value="XDSDocumentEntry.patientId"/></Name>
      </ExternalIdentifier>
      <ExternalIdentifier id="Unique01" registryObject="Document01"
          identificationScheme="urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab" value="$DOCUMENT_ID">
        <Name><LocalizedString value="XDSDocumentEntry.uniqueId"/></Name>
      </ExternalIdentifier>
    </ExtrinsicObject>
    <RegistryPackage id="SubmissionSet01" status="urn:oasis:names:tc:ebxml-regrep:StatusType:Approved">
      <Slot name="submissionTime"><ValueList><Value>$TIME</Value></ValueList></Slot>
      <Name><LocalizedString xml:lang="FR" value="$LABEL"/></Name>
      <ExternalIdentifier id="Patient02" registryObject="SubmissionSet01"
          identificationScheme="urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
          value="$INS^^^&amp;$INS_OID&amp;ISO^NH">
        <Name><LocalizedString value="XDSSubmissionSet.patientId"/></Name>
      </ExternalIdentifier>
      <ExternalIdentifier id="Source02" registryObject="SubmissionSet01"
          identificationScheme="urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832" value="$SOURCE_ID">
        <Name><LocalizedString value="XDSSubmissionSet.sourceId"/></Name>
      </ExternalIdentifier>
      <ExternalIdentifier id="Unique02" registryObject="SubmissionSet01"
          identificationScheme="urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8" value="$SUBMISSION_ID">
        <Name><LocalizedString value="XDSSubmissionSet.uniqueId"/></Name>
      </ExternalIdentifier>
    </RegistryPackage>
    <Classification id="Set01" classifiedObject="SubmissionSet01"
        classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>
    <Association id="Member01" sourceObject="SubmissionSet01" targetObject="Document01"
        associationType="urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember">
      <Slot name="SubmissionSetStatus"><ValueList><Value>Original</Value></ValueList></Slot>
    </Association>
  </RegistryObjectList>
</lcm:SubmitObjectsRequest>
"""
