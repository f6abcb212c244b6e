"""Rows of the CSVs that both checkers must refuse, and rows that both must accept.

The checkers are `ringostat channels check` and the dbt tests of the seeds. The rows follow those of
`support.ONE_PROJECT`: only project 1 is listed besides the projects here.
"""

from __future__ import annotations

# file → (rows, a word of the fault). The last row is the one that is named.
FAULTY: dict[str, list[tuple[str, str]]] = {
    "projects": [
        ("x,Text,,Europe/Kyiv,,2024-01-01,true", "project_id"),
        ("007,Zeros,,Europe/Kyiv,,2024-01-01,true", "project_id"),
        ("-7,Negative,,Europe/Kyiv,,2024-01-01,true", "project_id"),
        ("7.0,Fraction,,Europe/Kyiv,,2024-01-01,true", "project_id"),
        ("1٣,Digits,,Europe/Kyiv,,2024-01-01,true", "project_id"),
        ("1234567890123456789,Long,,Europe/Kyiv,,2024-01-01,true", "project_id"),
        (",No number,,Europe/Kyiv,,2024-01-01,true", "project_id"),
        ("11,,,Europe/Kyiv,,2024-01-01,true", "project_name"),
        ("12,null,,Europe/Kyiv,,2024-01-01,true", "project_name"),
        ("13,Key,a-secret-key,Europe/Kyiv,,2024-01-01,true", "auth_key_env"),
        ("14,Zone,,Europe/Kiew,,2024-01-01,true", "time_zone"),
        ("15,Zone in lower case,,europe/kyiv,,2024-01-01,true", "time_zone"),
        ("16,Offset,,UTC+3,,2024-01-01,true", "time_zone"),
        ("17,No zone,,,,2024-01-01,true", "time_zone"),
        ("18,Mode,,Europe/Kyiv,some,2024-01-01,true", "kpi_mode"),
        ("19,Mode in capitals,,Europe/Kyiv,All,2024-01-01,true", "kpi_mode"),
        ("20,German day,,Europe/Kyiv,,01.10.2026,true", "load_from"),
        ("21,American day,,Europe/Kyiv,,10/1/2026,true", "load_from"),
        ("22,No such day,,Europe/Kyiv,,2023-02-29,true", "load_from"),
        ("23,Nor this,,Europe/Kyiv,,2100-02-29,true", "load_from"),
        ("24,Nor that,,Europe/Kyiv,,2024-06-31,true", "load_from"),
        ("25,Year nought,,Europe/Kyiv,,0000-01-01,true", "load_from"),
        ("34,Far away,,Europe/Kyiv,,2101-01-01,true", "load_from"),
        ("35,Long ago,,Europe/Kyiv,,1999-12-31,true", "load_from"),
        ("36,Zone of the machine,,Factory,,2024-01-01,true", "time_zone"),
        ("37,Zone by another name,,posix/Europe/Kyiv,,2024-01-01,true", "time_zone"),
        ("26,Moment,,Europe/Kyiv,,2024-01-01 00:00,true", "load_from"),
        ("27,Short,,Europe/Kyiv,,2024-1-1,true", "load_from"),
        ("28,Word,,Europe/Kyiv,,today,true", "load_from"),
        ("29,No day,,Europe/Kyiv,,,true", "load_from"),
        ("30,Active,,Europe/Kyiv,,2024-01-01,yes", "is_active"),
        ("31,Active,,Europe/Kyiv,,2024-01-01,1", "is_active"),
        ("32,Active,,Europe/Kyiv,,2024-01-01,", "is_active"),
        (
            "33,One,,Europe/Kyiv,,2024-01-01,true\n33,Two,,Europe/Kyiv,,2024-01-01,true",
            "project_id",
        ),
    ],
    "static_channels": [
        ("x,pool_name,A1,s,t,c,,", "project_id"),
        (",pool_name,A2,s,t,c,,", "project_id"),
        ("7,pool_name,A3,s,t,c,,", "not in projects.csv"),
        ("01,pool_name,A4,s,t,c,,", "project_id"),
        ("1,pool,A5,s,t,c,,", "parameter"),
        ("1,Pool_name,A6,s,t,c,,", "parameter"),
        ("1,,A7,s,t,c,,", "parameter"),
        ("1,pool_name,,s,t,c7,,", "parameter_value"),
        ("1,pool_name,null,s,t,c8,,", "parameter_value"),
        ("1,pool_name,A9,,t,c,,", "traffic_source"),
        ("1,pool_name,B1,s, ,c,,", "traffic_type"),
        ("1,pool_name,B2,s,t,,,", "campaign"),
        ("1,pool_name,B3,s,t,c,01.10.2026,", "valid_from"),
        ("1,pool_name,B4,s,t,c,10/1/2026,", "valid_from"),
        ("1,pool_name,B5,s,t,c,15.10.2026,", "valid_from"),
        ("1,pool_name,B6,s,t,c,2024-01-01T00:00,", "valid_from"),
        ("1,pool_name,B7,s,t,c,,2024-02-30", "valid_to"),
        ("1,pool_name,B8,s,t,c,,Jan 10 2026", "valid_to"),
        ("1,pool_name,B9,s,t,c,,infinity", "valid_to"),
        ("1,pool_name,C1,s,t,c,2024-02-02,2024-02-01", "before valid_from"),
        ("1,pool_name,C2,s,t,c,,2024-02-01\n1,pool_name,C2,s,t,d,2024-02-01,", "overlap"),
        ("1,pool_name,C3,s,t,c,,\n1,pool_name,C3,s,t,d,,", "overlap"),
        ("1,pool_name,C4,s,t,c,,\n1,pool_name,C4,s,t,c,,", "overlap"),
    ],
    "kpi_tags": [
        ("x,disposition,A1,Target", "project_id"),
        ("7,disposition,A2,Target", "not in projects.csv"),
        ("1,dispositions,A3,Target", "parameter"),
        ("1,,A4,Target", "parameter"),
        ("1,disposition,,Target 5", "parameter_value"),
        ("1,disposition,A6,", "tag"),
        ("1,disposition,A7,Target\n1,disposition,A7,Target", "row"),
    ],
}

RIGHT: dict[str, list[str]] = {
    "projects": [
        "90,Capitals,KEY_90,UTC,tagged_primary,2024-02-29,TRUE",
        "91,Inactive,,America/Argentina/Buenos_Aires,,2000-02-29,False",
        "999999999999999999,Long,,Asia/Almaty,all,2099-12-31,true",
    ],
    "static_channels": [
        "1,pool_name,R1,s,t,c,2024-01-01,2024-01-01",
        "1,pool_name,R1,s,t,d,2024-01-02,2100-12-31",
        "1,n_alias,R1,s,t,c,,",
        "1,utm_term,R2,s,t,c,null,",
        "1,pool_name,3.80E+11,s,t,c,,",
        '1,pool_name,"R3, ""quoted""",s,t,c,,',
        "90,dst,380,s,t,c,,",
    ],
    "kpi_tags": [
        "1,category_number,5,Booking",
        "1,category_number,5,Target",
        "90,tag,R1,R1",
    ],
}
